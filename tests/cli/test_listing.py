"""Lists name all there is, each with its first sentence."""

from __future__ import annotations

import pytest

from archgraph.cli.listing import LISTS, sentence
from tests.cli.running import run


@pytest.mark.parametrize("kind", LISTS)
def test_every_name_has_a_sentence(kind: str) -> None:
    ran = run("list", kind)
    assert ran.code == 0
    names = [name for name in LISTS[kind] if name != "not-a-driver"]
    assert names
    for name in names:
        (line,) = (line for line in ran.out.splitlines() if line.startswith(f"{name} "))
        first = sentence(LISTS[kind].get(name))
        assert first.split()[0] in line.removeprefix(name)


def test_drivers_tell_their_settings() -> None:
    text = " ".join(run("list", "drivers").out.split())
    assert "--set growth=0.35 step=" in text
    assert "candidates=None" in text


def test_tasks_and_sequences_tell_their_options() -> None:
    assert "cora:download=True,split=public,number=0" in " ".join(run("list", "tasks").out.split())
    assert "split-cifar100:classes=5" in " ".join(run("list", "sequences").out.split())


def test_metrics_tell_which_way_is_better() -> None:
    text = " ".join(run("list", "metrics").out.split())
    assert "errors as evaluate. more is better" in text
    assert "with all that autograd keeps. less is better, in bytes" in text


def test_the_options_that_all_commands_share_are_taken() -> None:
    assert run("list", "tasks", "--seed", "3", "--device", "cpu", "--data-root", "nowhere").code == 0


@pytest.mark.parametrize("command", ["search", "show", "export", "list"])
def test_help_has_an_example(command: str) -> None:
    ran = run(command, "--help")
    assert ran.code == 0
    assert f"Example: archgraph {command}" in ran.out
    for option in ("--seed", "--device", "--data-root"):
        assert option in ran.out


def test_version() -> None:
    from archgraph import __version__

    assert run("--version") == (0, f"archgraph {__version__}\n", "")
