"""Ledgers add up; reports say whether they failed and whether they cost anything now."""

from __future__ import annotations

from dataclasses import fields, replace

from archgraph.evaluation import Ledger, Report

ONE = Ledger(
    epochs=1.5,
    samples=2,
    train_macs=3,
    score_macs=5,
    eval_macs=7,
    wall_seconds=0.25,
    cpu_seconds=0.5,
    peak_bytes=11,
    device="cpu",
)
OTHER = Ledger(
    epochs=0.5,
    samples=20,
    train_macs=30,
    score_macs=50,
    eval_macs=70,
    wall_seconds=2.0,
    cpu_seconds=4.0,
    peak_bytes=4,
    device="cuda:0",
)


def test_bills_add_up_and_memory_is_the_greater() -> None:
    total = ONE + OTHER
    assert (total.peak_bytes, total.device, total.cached) == (11, "cuda:0", False)
    for field in fields(Ledger):
        if field.name not in ("peak_bytes", "device", "cached"):
            assert getattr(total, field.name) == getattr(ONE, field.name) + getattr(OTHER, field.name), field.name
    assert ONE + Ledger() == ONE


def test_all_multiplications_count() -> None:
    assert ONE.macs == 3 + 5 + 7
    assert (ONE + OTHER).macs == ONE.macs + OTHER.macs


def test_a_report_fails_by_its_reason() -> None:
    assert Report("key").ok
    assert not Report("key", failure="diverged").ok


def test_from_cache_says_so_and_changes_nothing_else() -> None:
    report = Report("key", {"val.loss": 0.5}, ledger=ONE)
    again = report.from_cache()
    assert again.ledger == replace(ONE, cached=True)
    assert (again.key, again.metrics) == (report.key, report.metrics)
    assert not report.ledger.cached
