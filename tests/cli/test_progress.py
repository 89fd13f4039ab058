"""Progress on a terminal is a bar with facts, elsewhere plain lines."""

from __future__ import annotations

import io

from rich.console import Console

from archgraph import Budget, Recipe, search
from archgraph.cli.progress import SearchProgress
from archgraph.tasks import find
from archgraph.tasks.seed import seed_graph
from optimizers import SplittingDescent
from tests.cli.running import run


def watched(*, terminal: bool, **options: object) -> str:
    task, stream = find("digits"), io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=80, **options)  # type: ignore[arg-type]
    with SearchProgress(console, quality="val.error", trials=2) as progress:
        search(
            SplittingDescent(seed_graph(task)),
            task=task,
            recipe=Recipe(epochs=2),
            budget=Budget(evaluations=2),
            callbacks=(progress.trial,),
            progress=progress.epoch,
        )
    return stream.getvalue()


def test_a_terminal_gets_a_bar() -> None:
    shown = watched(terminal=True, _environ={"TERM": "xterm"})
    assert "training 2/2 · stage 1" in shown
    assert "1/2 · 254 params · val error 0." in shown


def test_elsewhere_there_is_a_line_a_trial() -> None:
    lines = watched(terminal=False).splitlines()
    assert [line[:8] for line in lines] == ["trial  0", "trial  1"]
    assert "stage 1" in lines[1]


def test_no_color_is_honoured() -> None:
    plain = watched(terminal=True, _environ={"TERM": "xterm", "NO_COLOR": "1"})
    assert not any(f"\x1b[{code}" in plain for code in ("3", "38", "9"))
    assert any(f"\x1b[{code}" in watched(terminal=True, _environ={"TERM": "xterm"}) for code in ("3", "38", "9"))


def test_a_failed_trial_says_why() -> None:
    ran = run(
        *("search", "digits", "--driver", "random-search", "--recipe", "epochs=1"),
        *("--budget", "evaluations=1", "max_macs=3"),
    )
    assert "trial  0  failed: not trained: max_macs is 3" in ran.err
