"""``model.onnx``: one file that onnxruntime runs at any batch size, to 1e-5 of what the network computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from archgraph.errors import ExportError
from archgraph.export import export, trial
from archgraph.export import onnx as form
from archgraph.graph import Graph
from archgraph.net import Network
from tests.export.test_export import MANY_OPS, TOKENS, network
from tests.export.test_pt2 import TANGLED
from tests.strategies import graphs, network_of

pytest.importorskip("onnxruntime", reason="needs the extra archgraph[onnx]")

HOSTILE = """
add = Input((4,))
linear_1 = Input((4,))
val_0 = Linear(4)(add)
relu = Tanh()(val_0)
getitem = Add()(relu, linear_1)
linear = ReLU()(getitem)
clone = Linear(4)(linear) @ val_0
same = Identity()(clone)
drop = Dropout(0.5)(same)
args = Sigmoid()(drop)
batch = Tanh()(args)
input_ids = Multiply()(batch, batch)
return clone, same, drop, linear_1, input_ids, linear, add
"""
IMAGE = """
image = Input((2, 7, 5))
conv = Conv2d(4, kernel_size=3, padding=1)(image)
norm = BatchNorm()(conv)
relu = ReLU()(norm)
sum = Add()(relu, norm)
mean = GlobalAvgPool()(sum)
head = Linear(3)(mean)
return head
"""


def small() -> Network:
    return network("x = Input((3,))\na = Linear(5)(x)\nb = Tanh()(a)\nreturn b\n")


def parse(data: bytes) -> Any:
    import onnx

    return onnx.load_from_string(data)


def test_an_image_network_end_to_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    of, example = network(IMAGE), torch.randn(4, 2, 7, 5)
    state = torch.random.get_rng_state()
    done = export(of, tmp_path, "onnx", example=example)
    assert capfd.readouterr() == ("", "")  # nothing of the exporter's chatter
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [path.name for path in done.folder.iterdir()] == ["model.onnx"]
    assert done.checks[0].startswith("model.onnx: outputs of batches of 4 and 1 equal to ")

    import onnx

    model = onnx.load(done.files[0])
    onnx.checker.check_model(model, full_check=True)
    (entry,), (output,) = model.graph.input, model.graph.output
    for value, name, dims in ((entry, "image", [2, 7, 5]), (output, "head", [3])):
        first, *others = value.type.tensor_type.shape.dim
        assert (value.name, first.dim_param, [other.dim_value for other in others]) == (name, "batch", dims)
    assert {"head.weight", "head.bias"} <= {tensor.name for tensor in model.graph.initializer}
    data = done.files[0].read_bytes()
    assert str(Path(form.__file__).parents[2]).encode() not in data and b"site-packages" not in data


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", [MANY_OPS, TOKENS, TANGLED, HOSTILE], ids=["many ops", "tokens", "tangled", "hostile names"]
)
def test_the_export_computes_the_same(text: str, tmp_path: Path) -> None:
    of = network(text)
    assert "batches of 3 and 1" in export(of, tmp_path, "onnx").checks[0]

    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [entry.name for entry in session.get_inputs()] == list(of.graph.inputs)
    names = [name + "_out" if name in of.graph.inputs else name for name in of.graph.outputs]
    assert [entry.name for entry in session.get_outputs()] == names
    inputs = {name: torch.randn(6, *of.graph.shape(name).dims) for name in of.graph.inputs}
    found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    with torch.no_grad():
        wanted = of.to_torch().eval()(*inputs.values())
    for ours, theirs in zip(wanted if isinstance(wanted, tuple) else (wanted,), found, strict=True):
        assert float((ours - torch.from_numpy(theirs)).abs().max()) <= 1e-5 * float(ours.abs().max())


@pytest.mark.slow
def test_settings_of_this_process_do_not_matter_and_files_are_the_same_every_time() -> None:
    of = network(IMAGE)
    data = form.write(of)
    torch.set_default_dtype(torch.float64)
    try:
        assert form.write(of) == data
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.slow
def test_shared_weights_are_one_tensor() -> None:
    names = [tensor.name for tensor in parse(form.write(network(HOSTILE))["model.onnx"]).graph.initializer]
    assert sorted(names) == ["val_0.bias", "val_0.weight"]


@pytest.mark.slow
def test_a_file_of_another_network_fails_the_check_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = small()
    export(of, tmp_path, "onnx")
    before = (tmp_path / "model.onnx").read_bytes()
    bias = of.weights["a.bias"].clone()
    bias[2] += 1e-3
    other = Network(of.graph, {**of.weights, "a.bias": bias})
    with pytest.raises(ExportError, match=r"output 'b' differs\n  expected: a relative difference of at most 1e-05"):
        form.verify(other, tmp_path)
    monkeypatch.setattr(form, "TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="output 'b' differs"):
        export(other, tmp_path, "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == before
    (tmp_path / "model.onnx").write_bytes(before[: len(before) // 2])
    with pytest.raises(ExportError, match=r"model.onnx does not run in a fresh process"):
        form.verify(of, tmp_path)


def test_missing_packages_are_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "find_spec", lambda name: None if name.startswith("onnxr") else object())
    with pytest.raises(ExportError, match=r"not installed: onnxruntime\n  try:      pip install 'archgraph\[onnx\]'"):
        export(small(), tmp_path / "new", "onnx")
    assert not (tmp_path / "new").exists()


def test_other_types_and_networks_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match=r"float32\n  got:      torch.float64\n  try:      export network.to\("):
        form.write(small().to(torch.float64))
    monkeypatch.setattr(form, "LARGEST", 79)
    with pytest.raises(ExportError, match=r"at most 79 bytes\n  got:      80\n"):  # 4 * (3 * 5 + 5)
        form.write(small())


def test_what_onnx_cannot_express_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        try:
            raise NotImplementedError("no translation of aten.special")
        except NotImplementedError as error:
            raise RuntimeError("conversion failed, see above") from error

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(ExportError, match=r"ONNX cannot express(.|\n)*NotImplementedError: no translation"):
        form.write(small())


NAN, INF = float("nan"), float("inf")
DISTANCES = [
    ("largest entry counts", [4.0, 0.5], [4.0, 0.25], 0.0625),
    ("zeros", [0.0, 0.0], [0.0, 0.0], 0.0),
    ("the same odd values", [NAN, INF, 2.0], [NAN, INF, 1.0], 0.5),
    ("only odd values", [NAN, -INF], [NAN, -INF], 0.0),
    ("another infinity", [INF, 1.0], [-INF, 1.0], INF),
    ("nan on one side", [1.0, 2.0], [NAN, 2.0], INF),
    ("another shape", [1.0, 2.0], [1.0, 2.0, 3.0], INF),
]


@pytest.mark.parametrize(("ours", "theirs", "distance"), [pytest.param(*case, id=name) for name, *case in DISTANCES])
def test_relative(ours: list[float], theirs: list[float], distance: float) -> None:
    assert form.relative(torch.tensor(ours), torch.tensor(theirs)) == distance


@pytest.mark.slow
@given(graph=graphs())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_networks_compute_the_same(graph: Graph) -> None:
    import onnxruntime

    of = network_of(graph).to(torch.float32)
    session = onnxruntime.InferenceSession(form.write(of)["model.onnx"])
    batches = trial.two_sizes(of)
    for inputs, wanted in zip(batches, trial.reference(of, *batches), strict=True):
        found = session.run(None, {name: tensor.numpy() for name, tensor in zip(graph.inputs, inputs, strict=True)})
        distances = [form.relative(ours, torch.from_numpy(theirs)) for ours, theirs in zip(wanted, found, strict=True)]
        assert max(distances) <= 1e-5
