"""Setting free what has the greatest squared gradient, one unit after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from archgraph.continual import Chapter, Gains, widened
from archgraph.evaluation import Score
from optimizers.continual.freed import Freed, Lesson
from optimizers.growth.asking import Asking


def by_gradient(
    lesson: Lesson,
    *,
    kinds: Collection[str],
    added: int,
    probes: int,
    samples: int | None,
    per_param: bool,
    redraws: int = 0,
) -> Asking[Freed | str]:
    """Return the task after one round of growth, or why it does not grow; the function is kept.

    Args:
        lesson: where it stands.
        kinds: what may be set free: ``"unlock"``, ``"new"``.
        added: units that are set free.
        probes: new units that are tried out at every home.
        samples: training samples for the scores; None for all.
        per_param: whether a gain is divided by the numbers that it adds.
        redraws: not used: there is always a gradient.
    """
    library, plan = lesson.library, lesson.plan
    draft = Chapter("", len(library), lesson.network.graph, plan, {})
    homes = draft.homes.growable if "new" in kinds else ()
    probed = widened(lesson.network, plan, library, dict.fromkeys(homes, probes), seed=lesson.seed, state=lesson.state)
    scored = yield Score(probed.network, "gradient", samples=samples, seed=lesson.seed)
    if not scored.ok:
        return f"round {lesson.number} could not be scored: {scored.failure}"
    whole = Chapter("", len(library), probed.network.graph, probed.plan, {})
    gains = Gains(whole, scored.scores, probed.slots)
    unlock: dict[str, list[int]] = defaultdict(list)
    keep: dict[str, list[int]] = defaultdict(list)
    for _ in range(added):
        best = gains.best(per_param=per_param, unlock="unlock" in kinds)
        if best is None:
            break
        gains.choose(best)
        (keep if best.new else unlock)[best.unit.home].append(best.unit.slot)
    if not unlock and not keep:
        return "nothing that could be set free lowers the loss"
    return Freed(probed.kept(keep).unlocked(unlock, len(library)))
