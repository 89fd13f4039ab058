"""Comparing an export with its network bit for bit: the outputs of a fresh process, and the weights in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from archgraph.errors import ExportError
from archgraph.export.python import MODEL_FILE, WEIGHTS_FILE, state_views
from archgraph.export.trial import Batch, Example, answers, reference, sample, told
from archgraph.net import Network
from archgraph.octets import octets

GROUP = 2**24
"""Bytes of weights that are compared at once: so much of a file, or one tensor, is in memory."""

LOAD = """
import importlib.util
spec = importlib.util.spec_from_file_location("model", model_file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
model = module.load()
"""


def verify(network: Network, folder: str | Path, example: Example = None) -> str:
    """Load ``model.py`` of a folder in a fresh process and compare its outputs with the network's, bit for bit.

    The weights are compared too, as a few samples may not show every bit of them. In that process neither archgraph nor
    its optimizers can be imported, and nothing of this process's settings is known. Both sides run in eval mode, on one
    thread of the CPU, in the network's floating-point type.

    Args:
        network: what was exported.
        folder: where ``model.py`` and ``weights.pt`` are.
        example: inputs ``[N, ...]``, one tensor an input; by default three random samples from a fixed seed.

    Returns:
        What was found to be right, in a sentence.

    Raises:
        ExportError: when the file does not run, or an output or a weight differs in any bit.
        DataError: when ``example`` does not fit the network.
    """
    inputs = sample(network, example)
    (wanted,) = reference(network, inputs)
    (found,) = answers(Path(folder) / MODEL_FILE, LOAD, inputs)
    check_bits(MODEL_FILE, network.graph.outputs, wanted, found)
    weights = verify_state(network, folder)
    return (
        f"{MODEL_FILE}: outputs of {told(network.graph, inputs)} equal bit for bit in a fresh process without "
        f"archgraph ({str(network.dtype).removeprefix('torch.')}); {weights}"
    )


def verify_state(network: Network, folder: str | Path) -> str:
    """Read ``weights.pt`` of a folder as a stranger would and compare every tensor with the network's, bit for bit.

    Raises:
        ExportError: when the file cannot be read or a tensor differs.
    """
    wanted = state_views(network)
    for group in _groups(wanted):
        found = _mapped(Path(folder) / WEIGHTS_FILE)
        if list(found) != list(wanted):
            raise ExportError(
                f"{WEIGHTS_FILE} has other tensors than the network", expected=list(wanted), got=list(found)
            )
        for key in group:
            if not same_bits(wanted[key], found[key]):
                raise ExportError(f"{WEIGHTS_FILE}: tensor {key!r} differs", got=difference(wanted[key], found[key]))
    return f"{WEIGHTS_FILE}: {len(wanted)} tensors equal bit for bit"


def _groups(tensors: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Yield names of tensors, so many as are compared at once; an empty list when there are none."""
    group: list[str] = []
    size = 0
    for key, tensor in tensors.items():
        if group and size + tensor.nbytes > GROUP:
            yield group
            group, size = [], 0
        group.append(key)
        size += tensor.nbytes
    yield group


def _mapped(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file, of which only what is looked at comes into memory, until they are let go."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch.load raises errors of many kinds on files that are damaged
        raise ExportError(f"{file.name} cannot be read: {error}") from error
    assert isinstance(found, dict)
    return found


def check_bits(file: str, names: Sequence[str], wanted: Batch, found: Batch) -> None:
    """Compare the outputs of a file with the network's.

    Args:
        file: its name.
        names: names of the outputs.
        wanted: what the network computes.
        found: what the file computes.

    Raises:
        ExportError: when there are more or fewer of them, or one differs in any bit.
    """
    check_number(file, wanted, found)
    for name, ours, theirs in zip(names, wanted, found, strict=True):
        if not same_bits(ours, theirs):
            raise ExportError(
                f"{file} does not compute what the network does: output {name!r} differs",
                expected="the same bits",
                got=difference(ours, theirs),
                hint="export again; if it stays so, this is a bug",
            )


def check_number(file: str, wanted: Batch, found: Batch) -> None:
    """Raise an ``ExportError`` unless there are as many outputs as wanted."""
    if len(found) != len(wanted):
        raise ExportError(
            f"{file} returns another number of outputs than the network", expected=len(wanted), got=len(found)
        )


def same_bits(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of the CPU have the same type, shape and bits: NaN equals itself and 0 differs from -0."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    return torch.equal(octets(first), octets(second))


def difference(ours: Tensor, theirs: Tensor) -> str:
    """Say by how much two tensors differ."""
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return f"{theirs.dtype} {tuple(theirs.shape)} instead of {ours.dtype} {tuple(ours.shape)}"
    return f"a largest difference of {float((ours.double() - theirs.double()).abs().max()):.3g}"
