"""A network as ``model.pt2``, the archive of ``torch.export``: loaded with torch alone, at any batch size."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from archgraph.errors import ExportError
from archgraph.export.graph_inputs import free_axes, on_graphs
from archgraph.export.quiet import quiet
from archgraph.export.trial import Batch, Example, answers, plain_torch, reference, sample, told, two_sizes
from archgraph.export.verify import check_bits
from archgraph.graph import Graph
from archgraph.net import Network

PT2_FILE = "model.pt2"

LOAD = "model = torch.export.load(model_file).module()"


def write(network: Network) -> dict[str, bytes]:
    """Return ``model.pt2``: the network in eval mode, one batch axis free in all inputs.

    A network on graphs takes any number of nodes, of edges, and of graphs.

    ``torch.export.load("model.pt2").module()`` is the module. Tensors and submodules are called like the nodes.

    Raises:
        ExportError: when torch cannot trace the network.
    """
    module = network.to_torch().cpu().eval()
    inputs = sample(network)
    buffer = io.BytesIO()
    with quiet(), plain_torch():
        try:
            program = traced(module, network.graph, inputs)
            program.example_inputs = None  # a reader has inputs of their own
            for node in program.graph.nodes:
                node.meta.pop("stack_trace", None)  # paths of this machine
            torch.export.save(program, buffer)
        except Exception as error:  # of many kinds: what an op did wrong while it was traced
            raise ExportError(
                "torch.export cannot express the network",
                got=f"{type(error).__name__}: {error}",
                hint="export it as 'python'",
            ) from error
    return {PT2_FILE: buffer.getvalue()}


def traced(module: nn.Module, graph: Graph, inputs: Batch) -> ExportedProgram:
    """Return what ``torch.export`` makes of a module; its errors are of many kinds.

    How many edges a layer on graphs has added, or how many graphs there are, is only known from the numbers in a
    tensor: for that torch must read the code of the layers (``strict``), where otherwise it is enough to run them.

    Args:
        module: a lowered network in eval mode.
        graph: its architecture.
        inputs: to trace it with.
    """
    return torch.export.export(module, inputs, dynamic_shapes=free_axes(graph), strict=on_graphs(graph))


def verify(network: Network, folder: str | Path, example: Example = None) -> str:
    """Load ``model.pt2`` where archgraph cannot be imported; compare outputs on two batch sizes, bit for bit.

    Args:
        network: what was exported.
        folder: where ``model.pt2`` is.
        example: inputs ``[N, ...]``, one tensor an input; by default three random samples from a fixed seed.

    Returns:
        What was found to be right, in a sentence.

    Raises:
        ExportError: when the file does not run, or an output differs in any bit.
        DataError: when ``example`` does not fit the network.
    """
    batches = two_sizes(network, example)
    wanted = reference(network, *batches)
    found = answers(Path(folder) / PT2_FILE, LOAD, *batches)
    for ours, theirs in zip(wanted, found, strict=True):
        check_bits(PT2_FILE, network.graph.outputs, ours, theirs)
    return (
        f"{PT2_FILE}: outputs of {told(network.graph, *batches)} equal bit for bit "
        f"in a fresh process without archgraph ({str(network.dtype).removeprefix('torch.')})"
    )
