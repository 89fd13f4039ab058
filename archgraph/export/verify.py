"""Trying an export where archgraph cannot be imported, and comparing what it computes bit for bit."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from archgraph import rng
from archgraph.errors import DataError, ExportError
from archgraph.export.python import MODEL_FILE, WEIGHTS_FILE, state_dict
from archgraph.net import Network, lower

Example = Tensor | Sequence[Tensor] | None
"""Inputs of a network: a tensor for the only one, or one tensor an input; None for random ones."""

SAMPLES = 3
PATIENCE = 600.0
"""Seconds until a process that does not answer is given up."""

FRESH_PROCESS = """
import sys

class OutOfReach:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("archgraph", "optimizers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, OutOfReach())
assert not {"archgraph", "optimizers"} & set(sys.modules)

import importlib.util
import torch

torch.set_num_threads(1)
model_file, question, answer = sys.argv[1:]
spec = importlib.util.spec_from_file_location("model", model_file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
inputs = torch.load(question, weights_only=True)
with torch.no_grad():
    outputs = module.load()(*inputs)
torch.save(outputs if isinstance(outputs, tuple) else (outputs,), answer)
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
    inputs = _inputs(network, example)
    wanted = _reference(network, inputs)
    found = _answer(Path(folder).resolve() / MODEL_FILE, inputs)
    if len(found) != len(wanted):
        raise ExportError(
            f"{MODEL_FILE} returns another number of outputs than the network", expected=len(wanted), got=len(found)
        )
    for name, ours, theirs in zip(network.graph.outputs, wanted, found, strict=True):
        if not same_bits(ours, theirs):
            raise ExportError(
                f"{MODEL_FILE} does not compute what the network does: output {name!r} differs",
                expected="the same bits",
                got=_difference(ours, theirs),
                hint="export again; if it stays so, this is a bug",
            )
    weights = verify_state(network, folder)
    return (
        f"{MODEL_FILE}: outputs of {len(inputs[0])} samples equal bit for bit in a fresh process without archgraph "
        f"({str(network.dtype).removeprefix('torch.')}); {weights}"
    )


def verify_state(network: Network, folder: str | Path) -> str:
    """Read ``weights.pt`` of a folder as a stranger would and compare every tensor with the network's, bit for bit.

    Raises:
        ExportError: when the file cannot be read or a tensor differs.
    """
    wanted = state_dict(network)
    try:
        found = torch.load(Path(folder) / WEIGHTS_FILE, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises errors of many kinds on files that are damaged
        raise ExportError(f"{WEIGHTS_FILE} cannot be read: {error}") from error
    if list(found) != list(wanted):
        raise ExportError(f"{WEIGHTS_FILE} has other tensors than the network", expected=list(wanted), got=list(found))
    for key, tensor in wanted.items():
        if not same_bits(tensor, found[key]):
            raise ExportError(f"{WEIGHTS_FILE}: tensor {key!r} differs", got=_difference(tensor, found[key]))
    return f"{WEIGHTS_FILE}: {len(wanted)} tensors equal bit for bit"


def same_bits(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of the CPU have the same type, shape and bits: NaN equals itself and 0 differs from -0."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    return torch.equal(*(one.contiguous().reshape(-1).view(torch.uint8) for one in (first, second)))


def _inputs(network: Network, example: Example) -> tuple[Tensor, ...]:
    """Return the inputs of the comparison on the CPU, in the network's floating-point type."""
    graph, dtype = network.graph, network.dtype
    sizes = [graph.shape(name).dims for name in graph.inputs]
    if example is None:
        generator = torch.Generator("cpu").manual_seed(rng.derive(0, "export"))
        return tuple(torch.randn(SAMPLES, *dims, generator=generator, dtype=dtype, device="cpu") for dims in sizes)
    given = (example,) if isinstance(example, Tensor) else tuple(example)
    if [tuple(tensor.shape[1:]) for tensor in given] != sizes or len({tensor.shape[:1] for tensor in given}) != 1:
        raise DataError(
            "the example does not fit the network",
            expected=", ".join(
                f"{name} [N, {', '.join(map(str, dims))}]" for name, dims in zip(graph.inputs, sizes, strict=True)
            ),
            got=", ".join(str(tuple(tensor.shape)) for tensor in given),
        )
    return tuple(tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype) for tensor in given)


def _reference(network: Network, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Run the network as a process of its own would: with torch's own settings, on one thread."""
    module = lower(network.graph, network.weights).cpu().eval()
    with _plain_torch():
        outputs = module(*inputs)
    return outputs if isinstance(outputs, tuple) else (outputs,)


@contextmanager
def _plain_torch() -> Iterator[None]:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False), torch.device("cpu"):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)


def _answer(model: Path, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with tempfile.TemporaryDirectory(prefix="archgraph-export-") as desk:
        question, answer = Path(desk, "inputs.pt"), Path(desk, "outputs.pt")
        torch.save(inputs, question)
        # -I: nothing of this process's path and environment; -B: no __pycache__ beside the model
        command = [sys.executable, "-I", "-B", "-c", FRESH_PROCESS, *map(str, (model, question, answer))]
        try:
            done = subprocess.run(command, cwd=desk, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExportError(f"{model.name} could not be tried in a fresh process: {error}") from error
        if done.returncode:
            raise ExportError(
                f"{model.name} does not run in a fresh process (exit code {done.returncode})",
                place="\n".join(done.stderr.strip().splitlines()[-8:]) or None,
            )
        return torch.load(answer, weights_only=True)


def _difference(ours: Tensor, theirs: Tensor) -> str:
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return f"{theirs.dtype} {tuple(theirs.shape)} instead of {ours.dtype} {tuple(ours.shape)}"
    return f"a largest difference of {float((ours.double() - theirs.double()).abs().max()):.3g}"
