"""Export end to end: files are verified in a fresh process, bit for bit, and a failure leaves nothing half done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import archgraph as ag
from archgraph import ops
from archgraph.errors import DataError, ExportError, SettingError, StorageError, UnknownName
from archgraph.export import export, same_bits, verify
from archgraph.export.trial import sample
from archgraph.graph import Graph, GraphBuilder, Shape
from archgraph.net import Network
from archgraph.ops.edges import source_of
from tests.ops.test_conformance import CASES

MANY_OPS = """
image = Input((2, 9, 7))
vector = Input((6,))
input = Conv2d(4, kernel_size=3, padding='same')(image)
training = BatchNorm()(input)
relu = ReLU()(training)
gelu = GELU(approximate='tanh')(relu)
softplus = Softplus(beta=2.0)(relu)
depthwise = Conv2d(8, kernel_size=(3, 1), padding=(1, 0), groups=4)(softplus)
pointwise = Conv2d(4, kernel_size=1, bias=False)(depthwise)
sum = Add()(gelu, pointwise, relu)
product = Multiply()(sum, gelu, sum)
bump = Gaussian()(product)
both = Concat()(bump, sum)
largest = MaxPool2d(2)(both)
average = AvgPool2d((3, 2), stride=1, padding=(1, 0))(largest)
same = Identity()(average)
drop = Dropout(0.3)(same)
peak = GlobalMaxPool()(drop)
mean = GlobalAvgPool()(drop)
leaky = LeakyReLU(negative_slope=0.2)(mean)
silu = SiLU()(peak)
flat = Flatten()(drop)
norm = LayerNorm()(flat)
wide = Linear(6)(norm)
self = Tanh()(wide)
mixed = Add()(self, vector)
once = Linear(6)(mixed)
lambda_ = Sigmoid()(once)
twice = Linear(6)(lambda_) @ once
scale = BatchNorm(affine=False)(twice)
forward = Concat()(scale, leaky, silu)
return forward, wide, vector
"""
TOKENS = """
tokens = Input((5, 3), unit_axis=-1)
norm = LayerNorm(eps=0.001)(tokens)
wide = Linear(7)(norm)
gelu = GELU()(wide)
flat = Flatten()(gelu)
return flat
"""


def network(text: str, dtype: torch.dtype = torch.float32) -> Network:
    """Return a network whose running statistics are not those of the start."""
    of = Network.init(Graph.parse(text), seed=5, dtype=dtype)
    module = of.to_torch()
    module(*sample(of, samples=11))
    return of.with_weights_of(module)


def small() -> Network:
    return network("x = Input((3,))\na = Linear(5)(x)\nb = Tanh()(a)\nreturn b\n")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("text", [MANY_OPS, TOKENS], ids=["many ops", "tokens"])
def test_the_export_computes_the_same_bits(text: str, dtype: torch.dtype, tmp_path: Path) -> None:
    of = network(text, dtype)
    done = ag.export(of, tmp_path / "deep" / "best")
    assert done.files == (tmp_path / "deep/best/weights.pt", tmp_path / "deep/best/model.py")
    assert sorted(path.name for path in done.folder.iterdir()) == ["model.py", "weights.pt"]  # no trace of the trial
    assert len(done.checks) == 1 and "bit for bit" in done.checks[0] and str(dtype)[6:] in done.checks[0]


NOT_IN_ONNX = {  # adaptive pooling of sizes that do not come out even
    "adaptive-avg-pool-volume",
    "adaptive-max-pool",
    "adaptive-max-pool-line",
    "adaptive-max-pool-volume",
}


ON_GRAPHS = {key for key, (op, shapes) in CASES.items() if any(not one.mixes for one in (op.infer(*shapes), *shapes))}
"""Cases that read edges, their weights, or memberships."""


def every_case(form: str) -> Network:
    """Return a network that has every case of the conformance test side by side, each with inputs of its own."""
    build = GraphBuilder()
    results = []
    for number, (key, (op, shapes)) in enumerate(CASES.items()):
        if key in ON_GRAPHS or (form == "onnx" and key in NOT_IN_ONNX):
            continue
        dtype = "int64" if isinstance(op, ops.Embedding) else "float32"
        sources = [build(ops.Input(shape.dims, shape.unit_axis, dtype)) for shape in shapes]
        results.append(build(op, *sources, name=f"case{number}"))
    return network(str(build.graph(*results)))


def graph_cases(*left_out: str) -> Network:
    """Return a network that has the cases on graphs side by side, all of one graph."""
    build = GraphBuilder()
    found: dict[Shape, str] = {}
    results = []
    for key in sorted(ON_GRAPHS - set(left_out)):
        op, shapes = CASES[key]
        for shape in shapes:
            if shape not in found:
                found[shape] = build(source_of(shape) or ops.Input(shape.dims))
        if shapes:  # the others are inputs themselves
            results.append(build(op, *(found[shape] for shape in shapes), name=f"on_{key.replace('-', '_')}"))
    return network(str(build.graph(*results)))


@pytest.mark.parametrize(
    "form", ["python", pytest.param("pt2", marks=pytest.mark.slow), pytest.param("onnx", marks=pytest.mark.slow)]
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
def test_every_op_there_is_can_be_exported(form: str, tmp_path: Path) -> None:
    of = every_case(form)
    left_out = len(NOT_IN_ONNX) if form == "onnx" else 0
    assert len(of.graph.outputs) == len(CASES) - len(ON_GRAPHS) - left_out  # cases are checked to name every op
    (check,) = export(of, tmp_path, form).checks
    assert check.startswith("model.")


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)], ids=str)
def test_every_op_on_graphs_can_be_exported(dtype: torch.dtype, tmp_path: Path) -> None:
    of = graph_cases().to(dtype)
    (check,) = export(of, tmp_path).checks
    assert "a graph of 7 nodes equal bit for bit" in check
    page = (tmp_path / "model.py").read_text()
    imported = [line for line in page.splitlines() if line.startswith(("import ", "from "))]
    assert imported == [
        "from pathlib import Path",
        "import torch",
        "import torch_geometric.nn as gnn",
        "from torch import nn",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pt2", "onnx"])
def test_every_op_on_graphs_can_be_traced(form: str, tmp_path: Path) -> None:
    (check,) = export(graph_cases(), tmp_path, form).checks
    assert "graphs of 7 and 14 nodes equal" in check


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        pytest.param(1, torch.tensor([[0, 1, 4], [1, 2, 0]]), id="an edge to a node that is not there"),
        pytest.param(1, torch.tensor([[0, -1, 1], [1, 2, 0]]), id="a negative node"),
        pytest.param(1, torch.tensor([[0.0, 1.0, 3.0], [1.0, 2.0, 0.0]]), id="edges that are no whole numbers"),
        pytest.param(2, torch.rand(2), id="weights of fewer edges"),
        pytest.param(3, torch.tensor([0, 0, 1]), id="memberships of fewer nodes"),
        pytest.param(0, torch.randn(4, 6), id="other features"),
    ],
)
def test_graphs_that_do_not_fit_are_refused(place: int, wrong: Tensor) -> None:
    of = network(
        "x = Input((5,))\ne = Edges(2)\nw = EdgeWeights()\nm = Membership()\n"
        "a = GCNConv(3)(x, e, w)\nb = GraphMaxPool()(a, m)\nreturn b\n"
    )
    right = [torch.randn(4, 5), torch.tensor([[0, 1, 3], [1, 2, 0]]), torch.rand(3), torch.tensor([0, 0, 1, 1])]
    assert [len(part) for part in sample(of, right)] == [4, 2, 3, 4]
    right[place] = wrong
    with pytest.raises(DataError, match=r"expected: x \[N, 5\], e \[2, E\], w \[E\], m \[N\]"):
        sample(of, right)


def test_the_file_is_a_program_that_needs_no_archgraph(tmp_path: Path) -> None:
    of = small()
    export(of, tmp_path)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import archgraph"], capture_output=True, text=True, check=False
    )
    assert "No module named 'archgraph'" in done.stderr  # without site-packages
    shown = subprocess.run(
        [sys.executable, "-I", "-B", str(tmp_path / "model.py")], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    assert "Linear(in_features=3, out_features=5" in shown and shown.endswith("20 parameters\n")


@pytest.mark.slow
def test_a_model_that_imports_archgraph_fails_the_check(tmp_path: Path) -> None:
    of = small()
    export(of, tmp_path)
    model = tmp_path / "model.py"
    text = model.read_text()
    for package in ("archgraph", "optimizers"):
        model.write_text(f"import {package}\n{text}")
        with pytest.raises(ExportError, match=f"No module named '{package}'"):
            verify(of, tmp_path)


@pytest.mark.slow
def test_a_changed_bit_of_the_weights_fails_the_check(tmp_path: Path) -> None:
    of = small()
    export(of, tmp_path)
    assert "bit for bit" in verify(of, tmp_path)
    state = torch.load(tmp_path / "weights.pt", weights_only=True)
    bias = state["a.bias"].clone()
    for changed, what in ((torch.nextafter(bias, torch.tensor(9.0)), "differs"), (bias + 0.1, "output 'b' differs")):
        torch.save(state | {"a.bias": changed}, tmp_path / "weights.pt")
        with pytest.raises(ExportError, match=what):
            verify(of, tmp_path)
    torch.save({"a.bias": bias}, tmp_path / "weights.pt")
    with pytest.raises(ExportError, match=r"does not run(.|\n)*a.weight"):
        verify(of, tmp_path)
    (tmp_path / "weights.pt").write_bytes(b"cut short")
    with pytest.raises(ExportError, match="does not run"):
        verify(of, tmp_path)


@pytest.mark.slow
def test_an_export_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(small(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = network("x = Input((3,))\na = Linear(7)(x)\nreturn a\n")
    monkeypatch.setattr(sys.modules[verify.__module__], "same_bits", lambda *tensors: False)
    with pytest.raises(ExportError):
        export(other, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_given_examples_are_used(tmp_path: Path) -> None:
    of = network("x = Input((3,))\ny = Input((2,))\na = Concat()(x, y)\nreturn a\n", torch.float64)
    done = export(of, tmp_path, example=(torch.randn(4, 3), torch.randn(4, 2)))
    assert "4 samples" in done.checks[0]
    for wrong in (torch.randn(4, 3), (torch.randn(4, 3), torch.randn(4, 3)), (torch.randn(4, 3), torch.randn(5, 2))):
        with pytest.raises(DataError, match=r"does not fit the network\n  expected: x \[N, 3\], y \[N, 2\]"):
            export(of, tmp_path, example=wrong)


def test_state_dict_alone(tmp_path: Path) -> None:
    of = small()
    done = export(of, tmp_path, "state-dict")
    assert [path.name for path in done.files] == ["weights.pt"]
    state = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert torch.equal(state["a.weight"], of.weights["a.weight"])
    both = export(of, tmp_path, ("python", "state-dict", "python"))
    assert [path.name for path in both.files] == ["weights.pt", "model.py"] and len(both.checks) == 2
    assert str(both).endswith("weights.pt: 2 tensors equal bit for bit")


def test_unknown_formats_are_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"unknown export format 'pyton'\n.*python, state-dict\n.*'python'"):
        export(small(), tmp_path, ("pyton",))
    with pytest.raises(SettingError, match="no format"):
        export(small(), tmp_path, ())
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match="cannot write the export to"):
            export(small(), folder)
    (tmp_path / "taken" / "model.py").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot write the export to"):
        export(small(), tmp_path / "taken")
    assert not list((tmp_path / "taken").glob(".export-*"))


BITS: list[tuple[str, Tensor, Tensor, bool]] = [
    ("nan", torch.tensor([float("nan"), 1.0]), torch.tensor([float("nan"), 1.0]), True),
    ("signed zero", torch.tensor(0.0), torch.tensor(-0.0), False),
    ("type", torch.ones(3), torch.ones(3, dtype=torch.float64), False),
    ("shape", torch.ones(2, 3), torch.ones(3, 2), False),
    ("strides", torch.arange(6.0).reshape(2, 3).T, torch.tensor([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]), True),
]


@pytest.mark.parametrize(("first", "second", "same"), [pytest.param(*case, id=name) for name, *case in BITS])
def test_same_bits(first: Tensor, second: Tensor, same: bool) -> None:
    assert same_bits(first, second) is same


def test_settings_of_this_process_do_not_matter_and_stay(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    state = torch.random.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        export(small(), tmp_path)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.get_num_threads() == threads and torch.equal(torch.random.get_rng_state(), state)
