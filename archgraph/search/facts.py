"""What a storage knows of a trial: numbers and texts as JSON, and the names of artifacts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import torch

from archgraph.errors import DataError
from archgraph.evaluation import Ledger, Report, Train
from archgraph.graph import Graph
from archgraph.net import State
from archgraph.storage.artifacts import Artifacts
from archgraph.storage.packs import Groups, mend_groups, put_groups

GROUPS: Mapping[str, tuple[str, ...]] = {
    "origin": ("parent", "moves", "stage", "predicted", "measured", "note", "values"),
    "training": ("recipe", "seed", "settings", "subject", "threads", "torch"),
    "result": ("graph", "network", "tensors"),
    "cost": ("ledger", "spent"),
}
"""Attributes under which Optuna keeps facts together: every one of them costs as much as a row of its own."""

LONGEST = 32_000
"""Characters of a fact beyond which it becomes an artifact: some databases end a text at 64 kilobytes."""

NETWORK, STATE, START, START_STATE = "network", "state", "start", "start-state"
"""Groups of tensors: after the training, and before it where they do not follow from the seed."""

APART = ("subject", "recipe", "seed", "state", "origin", "fidelity")
"""Fields of a request that are recorded in their own ways, or have no influence on the answer."""


def facts_of(request: Train, report: Report, artifacts: Artifacts, base: str | None = None) -> dict[str, Any]:
    """Store graph and tensors of a training and return what the storage is to know of it.

    With them the request can be made again (:func:`archgraph.search.recorded.request_of`).

    Args:
        request: what was asked.
        report: the answer.
        artifacts: where tensors and graph text go.
        base: manifest of the parent's tensors; what it has is not stored again.

    Raises:
        StorageError: when an artifact cannot be written.
    """
    origin = request.origin
    facts: dict[str, Any] = {
        "key": report.key,
        "stage": origin.stage,
        "moves": list(origin.moves),
        "predicted": text_of(origin.predicted),
        "measured": text_of(origin.measured),
        "note": origin.note,
        "recipe": repr(request.recipe),
        "seed": request.seed,
        "settings": settings_of(request),
        "subject": "graph" if isinstance(request.subject, Graph) else "network",
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "metrics": {name: text_of(value) for name, value in report.metrics.items()},
        "curve": [[at.epoch, {name: text_of(value) for name, value in at.metrics.items()}] for at in report.curve],
        "ledger": ledger_facts(report.ledger),
        "graph": artifacts.put(_graph(request), "graph"),
    }
    if origin.values:
        facts["values"] = list(origin.values.items())
    given = request.fidelity.within(request.recipe.epochs)
    if not given.full:
        whole = request.recipe.epochs
        facts["fidelity"] = asdict(given) | {"of": whole, "share": given.share(whole)}
    if report.failure:
        facts["failure"] = report.failure
    if report.network is not None:
        facts["network"] = report.network.key
    groups = _groups(request, report)
    if groups:
        facts["tensors"] = put_groups(artifacts, groups, base)
    facts = json.loads(json.dumps(facts, allow_nan=False))
    for name in ("moves", "curve", "values"):
        text = json.dumps(facts.get(name, ()))
        if len(text) > LONGEST:
            facts[name] = {"artifact": artifacts.put(text.encode(), "json")}
    return facts


def mend(facts: Mapping[str, Any], request: Train, report: Report, artifacts: Artifacts, base: str | None) -> None:
    """Put back the artifacts of a training that are damaged or missing, from the same training done again.

    Raises:
        StorageError: when they cannot be written.
        DataError: when the training has not become what it was.
    """
    found = None if report.network is None else report.network.key
    if found != facts.get("network"):
        raise DataError(
            "the artifacts of a training are damaged, and training again does not give the same network",
            expected=f"{facts.get('network')} with torch {facts.get('torch')}, {facts.get('threads')} threads",
            got=report.failure or found,
            hint="put back a copy of the artifacts, or search under another --name",
        )
    artifacts.put(_graph(request), "graph", mend=True)
    if "tensors" in facts:
        mend_groups(artifacts, facts["tensors"], _groups(request, report), base)


def fact(facts: Mapping[str, Any], name: str, artifacts: Artifacts) -> Any:
    """Return a fact that may be long and then lies with the artifacts.

    Raises:
        StorageError: when the artifact is missing.
        DataError: when it is damaged.
    """
    found = facts.get(name, ())
    return json.loads(artifacts.get(found["artifact"])) if isinstance(found, Mapping) else found


def attributes(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as the attributes of an Optuna trial, related ones together."""
    inner = {name for names in GROUPS.values() for name in names}
    grouped = {
        group: {name: facts[name] for name in names if name in facts}
        for group, names in GROUPS.items()
        if any(name in facts for name in names)
    }
    return {name: value for name, value in facts.items() if name not in inner} | grouped


def facts_in(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that attributes hold, those of earlier versions too, which were not grouped."""
    facts: dict[str, Any] = {}
    for name, value in attributes.items():
        facts.update(value if name in GROUPS and isinstance(value, Mapping) else {name: value})
    return facts


def ledger_facts(ledger: Ledger) -> dict[str, Any]:
    """Return a bill as a fact."""
    return asdict(ledger) | {"cached": False}


def text_of(value: float | None) -> float | str | None:
    """Return a number as JSON has it: what is not finite as text."""
    return value if value is None or math.isfinite(value) else str(value)


def number_of(stored: Any) -> Any:
    """Return the number that :func:`text_of` made text of."""
    return float(stored) if isinstance(stored, str) else stored


def flat(state: State | None) -> dict[str, torch.Tensor]:
    """Return an optimizer's state by ``"node.tensor/entry"``; labels have no slash."""
    return {f"{label}/{name}": one for label, entries in (state or {}).items() for name, one in entries.items()}


def nested(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Return the optimizer's state that :func:`flat` made flat."""
    result: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        label, _, entry = name.partition("/")
        result.setdefault(label, {})[entry] = tensor
    return result


def settings_of(request: Train) -> dict[str, str]:
    """Return all fields of a request that are not recorded in their own ways, as text; not those that are as usual."""
    usual = Train(request.subject)
    found = {one.name: getattr(request, one.name) for one in fields(request) if one.init and one.name not in APART}
    return {name: repr(value) for name, value in found.items() if value != getattr(usual, name)}


def _graph(request: Train) -> bytes:
    graph = request.subject if isinstance(request.subject, Graph) else request.subject.graph
    return str(graph).encode()


def _groups(request: Train, report: Report) -> Groups:
    """Return the tensors of a training by group, without empty groups."""
    groups = {
        START: {} if isinstance(request.subject, Graph) else request.subject.weights,
        START_STATE: flat(request.state),
        NETWORK: {} if report.network is None else report.network.weights,
        STATE: flat(report.state),
    }
    return {name: tensors for name, tensors in groups.items() if tensors}
