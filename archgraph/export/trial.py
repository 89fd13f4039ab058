"""Trying an exported file in a fresh process, beside what the network itself computes."""

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
from archgraph.export.graph_inputs import NODES, drawn, fits, nodes_of, on_graphs, shape_text, twice
from archgraph.graph import Graph
from archgraph.net import Network, lower

Example = Tensor | Sequence[Tensor] | None
"""Inputs of a network: a tensor for the only one, or one tensor an input; None for random ones."""
Batch = tuple[Tensor, ...]
"""One tensor ``[N, ...]`` an input, or one an output."""

SAMPLES = 3
PATIENCE = 600.0
"""Seconds until a process that does not answer is given up."""

OUT_OF_REACH = """
import sys

class OutOfReach:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, OutOfReach())
assert not set({hidden}) & set(sys.modules)
model_file, question, answer = sys.argv[1:]
"""

TORCH_PROCESS = """
import torch

torch.set_num_threads(1)
{load}
answers = []
with torch.no_grad():
    for inputs in torch.load(question, weights_only=True):
        outputs = model(*inputs)
        answers.append(outputs if isinstance(outputs, tuple) else (outputs,))
torch.save(answers, answer)
"""


def sample(network: Network, example: Example = None, *, samples: int = SAMPLES) -> Batch:
    """Return the inputs of a comparison on the CPU, in the network's floating-point type.

    Args:
        network: what is to be compared.
        example: inputs ``[N, ...]``, one tensor an input; by default random samples, or a random graph, from a fixed
            seed.
        samples: how many random samples.

    Raises:
        DataError: when ``example`` does not fit the network.
    """
    graph, dtype = network.graph, network.dtype
    if example is None:
        generator = torch.Generator("cpu").manual_seed(rng.derive(0, "export"))
        return tuple(_drawn(graph, name, samples, dtype, generator) for name in graph.inputs)
    given = (example,) if isinstance(example, Tensor) else tuple(example)
    if not (fits if on_graphs(graph) else _are_samples)(graph, given):
        raise DataError(
            "the example does not fit the network",
            expected=", ".join(f"{name} {shape_text(graph, name)}" for name in graph.inputs),
            got=", ".join(str(tuple(tensor.shape)) for tensor in given),
        )
    return tuple(tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype) for tensor in given)


def _are_samples(graph: Graph, given: Batch) -> bool:
    """Whether tensors are as many samples of every input."""
    sizes = [graph.shape(name).dims for name in graph.inputs]
    return [tuple(tensor.shape[1:]) for tensor in given] == sizes and len({tensor.shape[:1] for tensor in given}) == 1


def _drawn(graph: Graph, name: str, samples: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Return random samples of one input: normal numbers, or whole ones that every embedding of the graph knows."""
    if (given := drawn(graph, name, dtype, generator)) is not None:
        return given
    samples = NODES if on_graphs(graph) else samples
    size = (samples, *graph.shape(name).dims)
    kind = str(getattr(graph.op(name), "dtype", ""))
    if kind.startswith("int"):
        known = [getattr(node.op, "num_embeddings", None) for node in graph]
        words = min((count for count in known if count is not None), default=2)
        return torch.randint(words, size, generator=generator, dtype=getattr(torch, kind), device="cpu")
    return torch.randn(size, generator=generator, dtype=dtype, device="cpu")


def two_sizes(network: Network, example: Example = None) -> tuple[Batch, Batch]:
    """Return a sample and a batch of another size: its first entry alone, or that entry twice if there is no other.

    A graph is there a second time in the other batch, beside itself.

    Args:
        network: what is to be compared.
        example: see :func:`sample`.

    Raises:
        DataError: when ``example`` does not fit the network.
    """
    inputs = sample(network, example)
    if on_graphs(network.graph):
        return inputs, twice(network.graph, inputs)
    if len(inputs[0]) == 1:
        return inputs, tuple(torch.cat([tensor, tensor]) for tensor in inputs)
    return inputs, tuple(tensor[:1].clone() for tensor in inputs)


def told(graph: Graph, *batches: Batch) -> str:
    """Say how large batches are: ``"3 samples"``, ``"batches of 3 and 1"``, ``"graphs of 7 and 14 nodes"``."""
    sizes = " and ".join(str(nodes_of(graph, batch)) for batch in batches)
    if on_graphs(graph):
        return f"{'a graph' if len(batches) == 1 else 'graphs'} of {sizes} nodes"
    return f"{sizes} samples" if len(batches) == 1 else f"batches of {sizes}"


def reference(network: Network, *batches: Batch) -> list[Batch]:
    """Run the lowered network in eval mode as a process of its own would: torch's own settings, one thread, the CPU."""
    module = lower(network.graph, network.weights, share=True).cpu().eval()
    with plain_torch():
        results = [module(*inputs) for inputs in batches]
    return [outputs if isinstance(outputs, tuple) else (outputs,) for outputs in results]


@contextmanager
def plain_torch() -> Iterator[None]:
    """Run a block with torch's own settings, on one thread of the CPU, without gradients."""
    threads, precision, dtype = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    torch.set_default_dtype(torch.float32)
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False), torch.device("cpu"):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        torch.set_default_dtype(dtype)


def answers(file: Path, load: str, *batches: Batch) -> list[Batch]:
    """Return what a file computes in a fresh process where archgraph cannot be imported.

    Args:
        file: what is tried.
        load: Python statements that make ``model`` of the path ``model_file``; torch is imported.
        batches: the inputs.

    Raises:
        ExportError: when that process fails; the end of what it says is shown.
    """
    with tempfile.TemporaryDirectory(prefix="archgraph-export-") as desk:
        question, answer = Path(desk, "inputs.pt"), Path(desk, "outputs.pt")
        torch.save(list(batches), question)
        run(file, TORCH_PROCESS.format(load=load), question, answer)
        return torch.load(answer, weights_only=True)


def run(file: Path, program: str, question: Path, answer: Path, *, hidden: Sequence[str] = ()) -> None:
    """Run a program with variables ``model_file``, ``question`` and ``answer`` in a fresh process.

    Args:
        file: the exported file.
        program: Python statements that read ``question`` and write ``answer``.
        question: where the inputs are.
        answer: where the outputs go; the process works in its folder.
        hidden: packages that cannot be imported there, beside archgraph and its optimizers.

    Raises:
        ExportError: when that process fails; the end of what it says is shown.
    """
    text = OUT_OF_REACH.format(hidden=("archgraph", "optimizers", *hidden)) + program
    # -I: nothing of this process's path and environment; -B: no __pycache__ beside the model
    command = [sys.executable, "-I", "-B", "-c", text, *map(str, (file.resolve(), question, answer))]
    try:
        done = subprocess.run(command, cwd=answer.parent, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"{file.name} could not be tried in a fresh process: {error}") from error
    if done.returncode:
        raise ExportError(
            f"{file.name} does not run in a fresh process (exit code {done.returncode})",
            place="\n".join(done.stderr.strip().splitlines()[-8:]) or None,
        )
