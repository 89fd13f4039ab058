"""A training step on one graph, as archgraph's trainer makes it, against the same model in plain PyTorch Geometric.

    python benchmarks/graph_step.py --data-root DATA

Two layers of 16 hidden units (GAT: two heads of 8), ReLU, dropout of 0.5 before the second layer and (``dropped``) of
the features, Adam, loss on the training nodes. The rival is what PyTorch Geometric's examples do: a dense matrix of
features, ``edge_index``, and ``cached=True`` where a layer has it. Both start from the same weights, and the script
first checks that without dropout their gradients agree. CPU milliseconds, the best of windows in which both take turns.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import archgraph as ag
from archgraph.evaluation.feed import WholeGraph, feed
from archgraph.evaluation.transductive import settle_on_graph
from archgraph.tasks import find

LAYERS = {
    "GCN": ("GCNConv({units})", "GCNConv({outputs})"),
    "SAGE": ("SAGEConv({units})", "SAGEConv({outputs})"),
    "GAT": ("GATConv(8, heads=2)", "GATConv({outputs})"),
}
TASKS = ("cora", "citeseer", "texas", "amazon-photo", "coauthor-cs")


class Rival(nn.Module):
    """The model as PyTorch Geometric's examples write it."""

    def __init__(self, kind: str, features: int, outputs: int, *, dropped: bool) -> None:
        super().__init__()
        from torch_geometric import nn as layers

        kept = {"cached": True} if kind == "GCN" else {}
        if kind == "GAT":
            self.first, self.second = layers.GATConv(features, 8, heads=2), layers.GATConv(16, outputs)
        else:
            layer = {"GCN": layers.GCNConv, "SAGE": layers.SAGEConv}[kind]
            self.first, self.second = layer(features, 16, **kept), layer(16, outputs, **kept)
        self.dropped = dropped

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Return logits of all nodes."""
        x = functional.dropout(x, 0.5, self.training and self.dropped)
        x = functional.dropout(functional.relu(self.first(x, edges)), 0.5, self.training)
        logits: Tensor = self.second(x, edges)
        return logits


def pair(kind: str, task: ag.Task, *, dropped: bool) -> dict[str, Callable[[], None]]:
    """Return what makes a step of each; both were compared without dropout before."""
    first, second = (text.format(units=16, outputs=task.outputs) for text in LAYERS[kind])
    graph = ag.Graph.parse(
        f"x = Input(({task.input_shape[0]},))\nedges = Edges(4)\n"
        f"kept = Dropout({0.5 * dropped})(x)\nfirst = {first}(kept, edges)\n"
        f"active = ReLU()(first)\nhalf = Dropout(0.5)(active)\nsecond = {second}(half, edges)\nreturn second"
    )
    network = ag.Network.init(graph, seed=0)
    module, data = network.to_torch(), feed(graph, task, "train", "cpu", network.dtype)
    assert isinstance(data, WholeGraph)
    settle_on_graph(module, graph, data.given)
    rival = Rival(kind, task.input_shape[0], task.outputs, dropped=dropped)
    rival.load_state_dict({name: value.clone() for name, value in module.state_dict().items()})

    def loss(model: nn.Module) -> Tensor:
        found: Tensor = functional.cross_entropy(model(*data.given)[data.rows], data.y)
        return found

    for model in (module, rival):
        loss(model.eval()).backward()
    ours, theirs = dict(module.named_parameters()), dict(rival.named_parameters())
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name].grad, value.grad, rtol=1e-4, atol=1e-6)

    def stepper(model: nn.Module) -> Callable[[], None]:
        model.train()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

        def step() -> None:
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()

        return step

    return {"archgraph": stepper(module), "PyTorch Geometric": stepper(rival)}


def measured(steps: dict[str, Callable[[], None]], windows: int, size: int) -> dict[str, float]:
    """Return CPU milliseconds a step."""
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(windows):
        for name, step in steps.items():
            begun = time.process_time()
            for _ in range(size):
                step()
            best[name] = min(best[name], 1e3 * (time.process_time() - begun) / size)
    return best


def line(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    numbers = f"{row['archgraph']:9.2f} {row['pyg']:9.2f} {row['ratio']:7.1f}"
    return f"{row['task']:14s} {row['layer']:6s} {row['dropped']:8s} {numbers}"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--size", type=int, default=5, help="steps a window")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "graph_step.csv")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for label in asked.tasks:
        task = find(label, data_root=asked.data_root)
        for kind, dropped in itertools.product(LAYERS, (True, False)):
            found = measured(pair(kind, task, dropped=dropped), asked.windows, asked.size)
            ours, theirs = found["archgraph"], found["PyTorch Geometric"]
            row = {"task": label, "layer": kind, "dropped": "yes" if dropped else "no"}
            rows.append({**row, "archgraph": ours, "pyg": theirs, "ratio": theirs / ours})
            print(line(rows[-1]), flush=True)
    with asked.out.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(
            {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows
        )
    import torch_geometric

    versions = (
        f"torch {torch.__version__}, torch-geometric {torch_geometric.__version__}, Python {platform.python_version()}"
    )
    lines = [
        f"python benchmarks/graph_step.py --tasks {' '.join(asked.tasks)}",
        f"{versions}, one thread, CPU ms a step",
        "",
    ]
    lines += [f"{'task':14s} {'layer':6s} {'dropped':8s} {'archgraph':>9s} {'PyG':>9s} {'ratio':>7s}", *map(line, rows)]
    asked.out.with_suffix(".txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
