"""Growth by new units that a criterion proposes: one driver, any criterion.

A stage asks a criterion for new units everywhere, each with what it promises to take from the loss, and takes the best
that the budget allows. All are put in at once, unheard; then their weights are turned up, each to the best step of its
own model times one factor, which is found on the training loss. Where no factor lowers it the stage is rejected and
ends the growth. The criteria are those of :mod:`archgraph.scoring.proposals`, or anybody's:

- ``"tiny"``: what the layer behind cannot express (Verbockhaven et al., 2024, arXiv 2405.19816);
- ``"gradmax"``: the largest gradients (Evci et al., 2022, arXiv 2201.05125);
- ``"north"``: orthogonal to what is said already (Maile et al., 2022, arXiv 2202.08539);
- ``"natural-expansion"``: the largest rise of the natural gradient (Mitchell et al., 2023, arXiv 2307.04526);
- ``"zero-fan-out"``: random rows that nobody hears at first, the rival of them all.

Layers come by a criterion of their own, ``"sensli"``: alone (:class:`Sensli`), or beside any of these (``deeper``).
"""

from optimizers.widening.criterion_growth import CriterionGrowth
from optimizers.widening.deepening import Net2Deeper, Sensli
from optimizers.widening.named import GradMax, NaturalExpansion, Net2Wider, North, Tiny, ZeroFanOut

__all__ = [
    "CriterionGrowth",
    "GradMax",
    "NaturalExpansion",
    "Net2Deeper",
    "Net2Wider",
    "North",
    "Sensli",
    "Tiny",
    "ZeroFanOut",
]
