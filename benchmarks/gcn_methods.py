"""Ways of training a small graph network, by name: the optimizers of `gcn_natural_gradient.py` and their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import archgraph as ag
from archgraph.evaluation import Recipe

DECAYS = {"cora": (5e-3, 5e-4), "citeseer": (1e-2, 2e-3)}
"""Weight decay with self-training, of natural gradient and of Adam."""
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Learning rates of Adam."""
BRISK = {"betas": (0.8, 0.99)}
"""Averages of Adam that are shorter than usual."""
LONGER = ("cora:split=full", "cora:split=complete", "citeseer:split=full", "citeseer:split=complete")
"""Tasks with many labels, on which natural gradient has 100 epochs."""


@dataclass(frozen=True)
class Method:
    """What is trained how.

    Args:
        recipe: how.
        hidden: units of the hidden layer.
        input_dropout: whether features are dropped.
        layers: of which kind: ``"gcn"``, ``"sage"``, ``"gat"`` or ``"gat-dropped"``.
    """

    recipe: Recipe
    hidden: int = 16
    input_dropout: bool = True
    layers: str = "gcn"

    def network(self, task: ag.Task) -> ag.Graph:
        """Return what is trained."""
        if self.layers == "gcn":
            return gcn(task, self.hidden, input_dropout=self.input_dropout)
        return sage(task, self.hidden) if self.layers == "sage" else gat(task, dropped=self.layers == "gat-dropped")


@dataclass(frozen=True)
class Choice:
    """A method whose settings are chosen on other seeds than it is judged by.

    Args:
        tries: methods by the names of their rows.
        quickest: whether the fewest epochs to a validation loss decide (:data:`~gcn_tables.MARKS`, the third), not the
            lowest validation loss.
    """

    tries: Mapping[str, Method]
    quickest: bool = False


def gcn(task: ag.Task, hidden: int, *, input_dropout: bool) -> ag.Graph:
    """Return the network of Kipf and Welling, arXiv 1609.02907."""
    first, second = f"GCNConv({hidden})", f"GCNConv({task.outputs})"
    return _two(task, first, "ReLU()", second, 0.5, input_dropout=input_dropout)


def sage(task: ag.Task, hidden: int) -> ag.Graph:
    """Return two layers of Hamilton, Ying and Leskovec, arXiv 1706.02216, with the mean of all neighbours."""
    return _two(task, f"SAGEConv({hidden})", "ReLU()", f"SAGEConv({task.outputs})", 0.5)


def gat(task: ag.Task, *, dropped: bool) -> ag.Graph:
    """Return the network of Velickovic et al., arXiv 1710.10903, section 3.3.

    Args:
        task: for nodes.
        dropped: whether attention is dropped too, and features as often as there, of 10 at 6; else of 2 at 1.
    """
    more, rate = (", dropout=0.6", 0.6) if dropped else ("", 0.5)
    second = f"GATConv({task.outputs}, heads=1, concat=False{more})"
    return _two(task, f"GATConv(8, heads=8{more})", "ELU()", second, rate)


def _two(task: ag.Task, first: str, bent: str, second: str, rate: float, *, input_dropout: bool = True) -> ag.Graph:
    dropped = f"kept = Dropout({rate})(x)\n" if input_dropout else ""
    return ag.Graph.parse(
        f"x = Input(({task.input_shape[0]},))\nedges = Edges(4)\n{dropped}"
        f"first = {first}({'kept' if dropped else 'x'}, edges)\nactive = {bent}(first)\n"
        f"half = Dropout({rate})(active)\nsecond = {second}(half, edges)\nreturn second"
    )


def _options(**given: Any) -> dict[str, Any]:
    return {"options": given}


_BASE = Recipe(schedule="constant", keep="best", weight_decay=5e-4, decayed="first", epochs=200)
_NATURAL = _BASE.but(optimizer="natural-gradient", lr=0.1, epochs=60)
_FAST = _NATURAL.but(epochs=40, **_options(damping=3e-3))
_SWIFT: Mapping[str, Any] = {"damping": 3e-3, "momentum": 0.8, "kl_clip": 0.05, "interval": 2}
_SWIFTLY = _NATURAL.but(lr=0.4, epochs=40, schedule="linear", **_options(**_SWIFT))
_ADAM = _BASE.but(lr=0.01)


def choices() -> dict[str, Choice]:
    """Return the methods that are chosen by validation."""
    adam = {f"tune:adam:{rate:g}": Method(_BASE.but(lr=rate)) for rate in RATES}
    brisk = {f"tune:adam-brisk:{rate:g}": Method(_BASE.but(lr=rate, **_options(**BRISK))) for rate in RATES[3:6]}
    sgd = {f"tune:sgd:{rate:g}": _sgd(rate) for rate in (0.3, 1.0)}
    taught = _BASE.but(lr=0.05, self_training="pseudo-label:1", epochs=100)
    wide = {f"tune:self-adam-64:{decay:g}": taught.but(weight_decay=decay) for decay in (5e-4, 2e-3, 5e-3, 1e-2)}
    return {
        "adam-tuned": Choice(adam),
        "adam-swift": Choice(adam | brisk, quickest=True),
        "sgd": Choice(sgd),
        "self-adam-64-plain": Choice({name: Method(recipe, 64, False) for name, recipe in wide.items()}),
    }


def _sgd(rate: float) -> Method:
    return Method(_BASE.but(optimizer="sgd", lr=rate, **_options(momentum=0.9)))


def methods(task: str) -> dict[str, Method]:
    """Return the methods on a task by name, but for those of :func:`choices`."""
    own, adams = DECAYS.get(task, (5e-3, 5e-4))
    helped = {"self_training": "pseudo-label:1", "epochs": 200}
    natural, fast, swift = (
        recipe.but(epochs=100) if task in LONGER else recipe for recipe in (_NATURAL, _FAST, _SWIFTLY)
    )
    taught = natural.but(weight_decay=own, **helped)
    plain = {
        "natural": natural,
        "natural-fast": fast,
        "natural-swift": swift,
        "natural-expand": natural.but(**_options(mode="conv")),
        "natural-fast-expand": fast.but(**_options(mode="conv", damping=3e-3)),
        "adam": _ADAM,
        "exact": _BASE.but(optimizer="exact-natural-gradient", lr=1.0, epochs=25, **_options(damping=3e-3)),
        "ssp-adam": _BASE.but(optimizer="ssp", lr=0.01),
        "ssp-sgd": _BASE.but(optimizer="ssp", lr=0.01, **_options(base="sgd")),
        "self-natural": taught,
        "self-natural-expand": taught.but(**_options(mode="conv")),
        "self-adam": _BASE.but(lr=0.05, weight_decay=adams, **helped),
        "self-ssp-adam": _BASE.but(optimizer="ssp", lr=0.01, **helped),
    }
    short = {"weight_decay": 5e-3, "self_training": "pseudo-label:1", "epochs": 100}
    wide = {
        "natural-64": Method(natural, 64),
        "adam-64": Method(_ADAM, 64),
        "self-natural-64-plain": Method(natural.but(**short), 64, False),
        "self-natural-64-plain-expand": Method(natural.but(**short, **_options(mode="conv")), 64, False),
        "natural-plain": Method(natural, input_dropout=False),
        "adam-plain": Method(_ADAM, input_dropout=False),
    }
    found = {"adam": _ADAM, "natural": natural, "natural-fast": fast, "natural-swift": swift}
    found["natural-steady"] = natural.but(**_options(interval=2, ema=0.8))
    others = {
        f"{layers}-{name}": Method(recipe, layers=layers)
        for layers in ("sage", "gat", "gat-dropped")
        for name, recipe in found.items()
    }
    return {name: Method(recipe) for name, recipe in plain.items()} | wide | others | ablations(natural, swift)


def ablations(natural: Recipe, swift: Recipe) -> dict[str, Method]:
    """Return natural gradient with one part changed: of ``natural``, and of ``natural-swift``."""
    parts: Mapping[str, Mapping[str, Any]] = {
        "expand": {"mode": "conv"},
        "lin": {"mode": "lin"},
        "every-row": {"mode": "conv", "every_row": True},
        "unlabelled": {"unlabelled": 1.0},
        "exact-fisher": {"fisher": "exact"},
        "empirical": {"fisher": "empirical"},
        "every-step": {"interval": 1, "ema": 0.5},
        "interval-10": {"interval": 10},
        "no-average": {"ema": 0.0},
        "damping-1e-1": {"damping": 1e-1},
        "damping-3e-3": {"damping": 3e-3},
        "damping-1e-3": {"damping": 1e-3},
        "no-momentum": {"momentum": 0.0},
        "no-clip": {"kl_clip": 0.0},
    }
    found = {f"natural-{name}": natural.but(**_options(**changed)) for name, changed in parts.items()}
    found |= {"natural-decay-all": natural.but(decayed=""), "natural-no-decay": natural.but(weight_decay=0.0)}
    pieces: Mapping[str, Mapping[str, Any]] = {
        "expand": {"mode": "conv"},
        "damping-1e-2": {"damping": 1e-2},
        "damping-1e-3": {"damping": 1e-3},
        "momentum-0.9": {"momentum": 0.9},
        "no-momentum": {"momentum": 0.0},
        "clip-1e-2": {"kl_clip": 1e-2},
        "no-clip": {"kl_clip": 0.0},
        "interval-5": {"interval": 5},
    }
    found |= {f"swift-{name}": swift.but(**_options(**{**_SWIFT, **changed})) for name, changed in pieces.items()}
    found |= {"swift-rate-0.1": swift.but(lr=0.1), "swift-constant": swift.but(schedule="constant")}
    return {name: Method(recipe) for name, recipe in found.items()}


MAIN: Sequence[str] = (
    *("natural", "natural-fast", "natural-swift", "natural-expand", "natural-fast-expand"),
    *("adam", "adam-tuned", "adam-swift", "exact", "ssp-adam", "ssp-sgd", "sgd"),
    *("self-natural", "self-natural-expand", "self-adam", "self-ssp-adam"),
    *("self-natural-64-plain", "self-natural-64-plain-expand", "self-adam-64-plain"),
)
"""What is run unless something else is asked for."""
