"""Setting free what lowers the loss most: unlocked, split and new units, all of them tried at once (Firefly, A.8).

The gains are true ones, over the overlay: gates and directions of all offers descend together, integrated gradients say
what each is worth, and the best are taken. As what these do depends on what else is open, they descend once more by
themselves, and how far their gates are opened is measured. Where no opening lowers the loss all is drawn anew, new
units, directions and halves of the samples, a few times. Where none of these helps either the network stays as it was,
and what is set free is chosen by squared gradients: that asks for no gain before the training.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archgraph import rng
from archgraph.continual import Chapter, Offers, Widened, taken, twin_slots, widened
from archgraph.continual.twinned import Twins
from archgraph.continual.worth import CRITERION, Offered, point_of
from archgraph.errors import EvaluationFailed
from archgraph.evaluation import Score
from archgraph.overgrown import Point
from optimizers.continual.by_gradient import by_gradient
from optimizers.continual.freed import Freed, Lesson
from optimizers.growth.asking import Asking, training_loss
from optimizers.growth.ladder import climb


@dataclass(frozen=True, eq=False)
class Scores:
    """Offers, ``[G]`` what each changes the loss by, and where the descent has led."""

    offers: Offers
    index: Tensor
    point: Point


@dataclass(frozen=True)
class Rejected:
    """Nothing that was drawn helps; something else may.

    Args:
        why: in words.
    """

    why: str


@dataclass(frozen=True, eq=False)
class Opening:
    """Gates opened by a share of where they stand, and what that does to the training loss."""

    share: float
    task: Widened
    measured: float


def by_firefly(
    lesson: Lesson,
    *,
    kinds: Sequence[str],
    added: int,
    probes: int,
    samples: int | None,
    per_param: bool,
    redraws: int = 0,
) -> Asking[Freed | str]:
    """Return the task after one round of growth, or why it does not grow.

    Args:
        lesson: where it stands.
        kinds: what may be set free: ``"unlock"``, ``"new"``, ``"split"``.
        added: gates that are opened.
        probes: new units that are tried out at every home.
        samples: training samples for the scores; None for all.
        per_param: whether a gain is divided by the numbers that it adds.
        redraws: how often all is drawn anew where nothing helps.
    """
    why = ""
    for draw in range(1 + redraws):
        anew = lesson if draw == 0 else replace(lesson, seed=rng.derive(lesson.seed, "redraw", draw))
        found = yield from _drawn(anew, kinds, added, probes, samples, per_param=per_param)
        if not isinstance(found, Rejected):
            return found
        why = found.why
    others = tuple(kind for kind in kinds if kind != "split")  # of which the gradient is zero
    if not others:
        return why
    return (
        yield from by_gradient(lesson, kinds=others, added=added, probes=probes, samples=samples, per_param=per_param)
    )


def _drawn(
    lesson: Lesson, kinds: Sequence[str], added: int, probes: int, samples: int | None, *, per_param: bool
) -> Asking[Freed | Rejected | str]:
    """Return the task after opening the best of what is drawn, or why it is left as it was."""
    library, plan = lesson.library, lesson.plan
    draft = Chapter("", len(library), lesson.network.graph, plan, {})
    homes = draft.homes.growable if "new" in kinds else ()
    probed = widened(lesson.network, plan, library, dict.fromkeys(homes, probes), seed=lesson.seed, state=lesson.state)
    reserved = {home: (*library.slots(home), *probed.slots.get(home, ())) for home in draft.homes.shared}
    twins = twin_slots(draft, reserved) if "split" in kinds else {}
    how = Offered(
        str(probed.plan),
        len(library),
        tuple(kinds),
        tuple((home, tuple(slots)) for home, slots in probed.slots.items()),
        tuple((home, tuple(pairs.items())) for home, pairs in twins.items()),
        seed=lesson.seed,
    )
    first = yield from _scored(lesson, probed, how, samples)
    if isinstance(first, str):
        return first
    best = _best(first.index, first.offers.sizes if per_param else [1] * len(first.offers.gates), added)
    if not best:
        return Rejected("nothing that could be set free lowers the loss")
    alone = replace(how, only=tuple(first.offers.gates[one].name for one in best))
    last = yield from _scored(lesson, probed, alone, samples)
    if isinstance(last, str):
        return last
    return (yield from _opened(lesson, probed, how.twins, last))


def _scored(lesson: Lesson, probed: Widened, how: Offered, samples: int | None) -> Asking[Scores | str]:
    """Return what offers are worth, or why nobody knows."""
    scored = yield Score(probed.network, CRITERION, samples=samples, seed=lesson.seed, options=how.options)
    if not scored.ok:
        return f"round {lesson.number} could not be scored: {scored.failure}"
    if CRITERION not in scored.scores:
        return "nothing is left to set free"
    found = how.over(probed.network)
    score = scored.scores[CRITERION]
    return Scores(found, score.index, point_of(found, score))


def _opened(lesson: Lesson, probed: Widened, twins: Twins, scores: Scores) -> Asking[Freed | Rejected | str]:
    """Return the task with gates opened as far as lowers the loss most, or why it is left as it was."""
    found, point = scores.offers, scores.point
    chosen = range(len(found.gates))
    try:
        before = yield from training_loss(lesson.network)

        def opened(share: float) -> Asking[Opening]:
            task = taken(found, Point(point.gates * share, point.directions), chosen, probed, twins)
            after = yield from training_loss(task.network)
            return Opening(share, task, after - before)

        best = yield from climb((yield from opened(1.0)), opened)
    except EvaluationFailed as error:
        return f"round {lesson.number} could not be measured: {error.what}"
    if not best.measured < 0.0:
        why = f"round {lesson.number} was rejected: no opening from 1 down to {best.share:g} lowers the train loss"
        return Rejected(why)
    splits = [best.share if found.gates[one].kind == "split" else 1.0 for one in chosen]  # even in their gates
    predicted = sum(float(scores.index[one]) * best.share * more for one, more in zip(chosen, splits, strict=True))
    return Freed(best.task, predicted, best.measured)


def _best(index: Tensor, sizes: Collection[int], added: int) -> list[int]:
    """Return the numbers of the gates that promise most, none that promises nothing."""
    slopes = index.double().cpu() / torch.tensor(list(sizes), dtype=torch.float64)
    order = sorted(range(len(slopes)), key=lambda one: (float(slopes[one]), one))
    return sorted(one for one in order[:added] if float(slopes[one]) < 0.0)
