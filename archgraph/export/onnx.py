"""A network as ``model.onnx``, one self-contained file with a free batch axis, checked with onnxruntime."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from archgraph.errors import ExportError
from archgraph.export.graph_inputs import free_axes, on_graphs
from archgraph.export.pt2 import traced
from archgraph.export.quiet import quiet
from archgraph.export.trial import Batch, Example, plain_torch, reference, run, sample, told, two_sizes
from archgraph.export.verify import check_number, difference
from archgraph.net import Network

ONNX_FILE = "model.onnx"
NEEDED = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-5
"""Largest difference of an output, relative to its largest entry."""
LARGEST = 2**31 - 2**24
"""Bytes of weights that fit into one file: protobuf writes 2 GiB, of which the nodes need a little."""

ONNX_PROCESS = """
import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model_file, options, providers=["CPUExecutionProvider"])
batches, results = np.load(question), {}
for number in range(int(batches["batches"])):
    feed = {entry.name: batches[f"{number}.{place}"] for place, entry in enumerate(session.get_inputs())}
    for place, output in enumerate(session.run(None, feed)):
        results[f"{number}.{place}"] = output
np.savez(answer, **results)
"""


def write(network: Network) -> dict[str, bytes]:
    """Return ``model.onnx``: the network in eval mode, in float32, with a free batch axis called ``batch``.

    Inputs and outputs are called like the nodes (an output that is also an input gets ``_out`` behind its name), and
    tensors like those of the network. Batch norms are folded into the convolutions before them where that is exact.

    Raises:
        ExportError: when a package is missing, the network is not in float32 or too large for one file, or torch cannot
            express it.
    """
    _require()
    if network.dtype != torch.float32:
        raise ExportError(
            "ONNX files are written in float32", got=network.dtype, hint="export network.to(torch.float32)"
        )
    if (size := sum(tensor.nbytes for tensor in network.weights.values())) > LARGEST:
        raise ExportError(
            f"the weights do not fit into one {ONNX_FILE}",
            expected=f"at most {LARGEST:,} bytes",
            got=f"{size:,}",
            hint="export the network as 'pt2' or 'python'",
        )
    module = _apart(network.to_torch().cpu().eval())
    inputs = sample(network)
    with quiet(), plain_torch():
        try:
            linked = on_graphs(network.graph)
            program = torch.onnx.export(
                traced(module, network.graph, inputs) if linked else module,
                inputs,
                dynamo=True,
                dynamic_shapes=None if linked else free_axes(network.graph),
                external_data=False,
                verbose=False,
            )
            assert program is not None  # with dynamo
            _name(program.model.graph, network.graph.inputs, network.graph.outputs)
            model = program.model_proto
            _strip(model.graph, model.functions)
            return {ONNX_FILE: model.SerializeToString(deterministic=True)}
        except Exception as error:  # of many kinds: what an op did wrong while it was traced, or has no translation
            cause = error.__cause__ or error
            raise ExportError(
                "ONNX cannot express the network",
                got=f"{type(cause).__name__}: {cause}",
                hint="export it as 'pt2' or 'python'",
            ) from error


def verify(network: Network, folder: str | Path, example: Example = None) -> str:
    """Run ``model.onnx`` in a fresh process without archgraph and torch; compare outputs on two batch sizes.

    Args:
        network: what was exported.
        folder: where ``model.onnx`` is.
        example: inputs ``[N, ...]``, one tensor an input; by default three random samples from a fixed seed.

    Returns:
        What was found to be right, in a sentence.

    Raises:
        ExportError: when the file does not run, or an output differs by more than 1e-5 of its largest entry.
        DataError: when ``example`` does not fit the network.
    """
    _require()
    batches = two_sizes(network, example)
    worst = 0.0
    for wanted, found in zip(reference(network, *batches), _answers(Path(folder) / ONNX_FILE, batches), strict=True):
        check_number(ONNX_FILE, wanted, found)
        for name, ours, theirs in zip(network.graph.outputs, wanted, found, strict=True):
            worst = max(worst, distance := relative(ours, theirs))
            if not distance <= TOLERANCE:
                raise ExportError(
                    f"{ONNX_FILE} does not compute what the network does: output {name!r} differs",
                    expected=f"a relative difference of at most {TOLERANCE:g}",
                    got=f"{distance:.3g}: {difference(ours, theirs)}",
                )
    return (
        f"{ONNX_FILE}: outputs of {told(network.graph, *batches)} equal to "
        f"{worst:.1g} in onnxruntime, in a fresh process without archgraph and torch (float32)"
    )


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference of two tensors, relative to the largest entry of the first.

    Infinite when type or shape differ, or what is not finite: NaN equals NaN.

    >>> relative(torch.tensor([4.0, 0.0]), torch.tensor([4.0, 0.5]))
    0.125
    """
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return float("inf")
    ours, theirs = ours.double(), theirs.double()
    odd = ~(ours.isfinite() & theirs.isfinite())
    if not torch.allclose(ours[odd], theirs[odd], equal_nan=True):
        return float("inf")
    most = float((ours[~odd] - theirs[~odd]).abs().max()) if not odd.all() else 0.0
    return most / float(ours[~odd].abs().max().clamp(min=torch.finfo(torch.float32).tiny)) if most else 0.0


def _require() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ExportError(
            f"format 'onnx' needs packages that are not installed: {', '.join(missing)}",
            hint="pip install 'archgraph[onnx]'",
        )


def _apart(module: fx.GraphModule) -> fx.GraphModule:
    """Give every output a value of its own: ONNX has no output that is an input, nor one value under two names."""
    (last,) = module.graph.find_nodes(op="output")
    values = last.args[0] if isinstance(last.args[0], tuple) else (last.args[0],)
    with module.graph.inserting_before(last):
        copies = tuple(module.graph.call_method("clone", (value,)) for value in values)
    last.args = (copies if isinstance(last.args[0], tuple) else copies[0],)
    module.recompile()
    return module


def _name(graph: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give inputs and outputs their names, and another one to whatever is called so inside."""
    results: list[str] = []
    for name in outputs:
        while name in (*inputs, *results):
            name += "_out"
        results.append(name)
    ends = {id(value) for value in (*graph.inputs, *graph.outputs)}
    inside = [value for node in graph.all_nodes() for value in node.outputs if value.name and id(value) not in ends]
    taken = {*inputs, *results, *graph.initializers}
    for value in inside:
        while value.name in taken:
            value.name += "_"
        taken.add(value.name)
    for value, name in zip((*graph.inputs, *graph.outputs), (*inputs, *results), strict=True):
        value.name = name


def _strip(graph: Any, functions: Iterable[Any]) -> None:
    """Take away what the exporter notes about its own code: paths of this machine and names of its functions."""
    for holder in (graph, *functions):
        del holder.metadata_props[:]
        for part in (*holder.node, *holder.value_info):
            del part.metadata_props[:]
    for part in (*graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]


def _answers(file: Path, batches: Sequence[Batch]) -> list[Batch]:
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="archgraph-export-") as desk:
        question, answer = Path(desk, "inputs.npz"), Path(desk, "outputs.npz")
        flat = {f"{n}.{place}": tensor.numpy() for n, batch in enumerate(batches) for place, tensor in enumerate(batch)}
        np.savez(question, batches=np.array(len(batches)), **flat)  # type: ignore[arg-type]
        run(file, ONNX_PROCESS, question, answer, hidden=("torch",))
        with np.load(answer) as found:
            results: list[list[Tensor]] = [[] for _ in batches]
            for key in sorted(found, key=lambda key: tuple(map(int, key.split(".")))):
                results[int(key.partition(".")[0])].append(torch.from_numpy(found[key]))
    return [tuple(result) for result in results]
