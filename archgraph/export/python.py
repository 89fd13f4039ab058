"""A network as a Python file that imports torch alone: one ``nn.Module`` with straight-line code, and ``load``.

A network on graphs needs ``torch_geometric.nn`` too: the file makes the same layers, and they get the same tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from archgraph.export.classes import pages
from archgraph.export.graph_inputs import on_graphs, shape_text
from archgraph.export.graph_layers import IMPORT, is_geometric
from archgraph.export.layers import definitions
from archgraph.export.statements import wrap
from archgraph.graph import Graph
from archgraph.metrics import macs, params
from archgraph.net import Network

MODEL_FILE = "model.py"
WEIGHTS_FILE = "weights.pt"

_PAGE = '''\
"""{title}

Inputs:  {inputs}
Outputs: {outputs}
Size:    {size}

    from model import load
    model = load()  # weights.pt beside this file; on the CPU, in eval mode
    {call}

`python model.py` prints a summary.
"""

from pathlib import Path

{imports}


{layers}class Model(nn.Module):
{body}


def load(path=None):
    """Return the model with its weights, in eval mode; `path` is the weights file, by default the one beside this."""
    path = Path(__file__).with_name("{weights}") if path is None else path
    with torch.device("meta"):  # no memory and no random numbers: every tensor comes from the file, type included
        model = Model()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    return model.eval()


if __name__ == "__main__":
    loaded = load()
    print(loaded)
    print(f"{{sum(parameter.numel() for parameter in loaded.parameters()):,}} parameters")
'''


def source(network: Network) -> str:
    """Return the text of ``model.py``: class ``Model`` and function ``load``, which reads ``weights.pt`` beside it.

    Variables and submodules are called like the nodes, with an underscore where Python or ``nn.Module`` has the name.
    Blocks that repeat are classes of their own.

    Raises:
        ExportError: when an op uses a layer or function that torch does not offer by a public name.
    """
    graph = network.graph
    parts = pages(graph)
    names = parts.names
    returned = ", ".join(names[name] for name in graph.outputs)
    header = ", ".join(["self", *(names[name] for name in graph.inputs)])
    made = [f"        {line}" for line in parts.layers]
    body = ["    def __init__(self):", "        super().__init__()", *made, ""] if made else []
    body += wrap(f"    def forward({header}):", f"    def forward(\n        {header}\n    ):")
    body += [f"        {line}" if line else "" for line in parts.steps]
    body += wrap(f"        return {returned}", f"        return (\n            {returned}\n        )")
    code = "\n".join(body)
    calls = parts.classes + "".join(parts.steps)
    linked = any(is_geometric(type(module)) for module in parts.modules.values())
    imports = ["import torch", *(["import torch.nn.functional as F"] if "F." in calls else [])]
    imports += [IMPORT] if linked else []
    needed = "torch and PyTorch Geometric" if linked else "torch alone"
    row = "node" if on_graphs(graph) else "sample"
    return _PAGE.format(
        title=f"A network of {len(graph)} nodes as plain PyTorch: needs {needed}.",
        inputs=_listed(graph, names, graph.inputs),
        outputs=_listed(graph, names, graph.outputs),
        size=f"{params(graph):,} parameters, {macs(graph):,} multiply-accumulates a {row}, "
        f"{str(network.dtype).removeprefix('torch.')}",
        call=f"{returned} = model({', '.join(names[name] for name in graph.inputs)})",
        imports="\n".join([*imports, "from torch import nn"]),
        layers=definitions(parts.modules.values()) + parts.classes,
        body=code,
        weights=WEIGHTS_FILE,
    )


def state_dict(network: Network) -> dict[str, Tensor]:
    """Return the weights on the CPU by the names that ``Model`` gives them, such as ``"conv2d1.weight"`` (copied)."""
    return {key: tensor.clone() for key, tensor in state_views(network).items()}


def state_views(network: Network) -> dict[str, Tensor]:
    """Return what :func:`state_dict` does with the network's own tensors where they lie alone in memory of the CPU.

    Those that are a part of a larger tensor are copied, as a file would get the larger one whole.
    """
    return {
        f"{place}.{key}": _alone(tensor.cpu())
        for name, place in pages(network.graph).places.items()
        for key, tensor in network.tensors(name).items()
    }


def _alone(tensor: Tensor) -> Tensor:
    whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    return tensor if whole else tensor.clone(memory_format=torch.contiguous_format)


def _listed(graph: Graph, names: Mapping[str, str], chosen: Iterable[str]) -> str:
    return ", ".join(f"{names[name]} {shape_text(graph, name)}" for name in chosen)
