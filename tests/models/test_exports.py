"""Every model of the zoo leaves in every form, and what a stranger loads computes what the user's model did."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archgraph as ag
from archgraph.errors import ExportError
from archgraph.export import FORMATS, export
from archgraph.export.onnx import relative
from archgraph.net import Network
from archgraph.reading import read
from tests.models.zoo import ZOO, grown

QUICK = ("resnet18", "vit", "lstm")  # one of each kind
Batch = tuple[Tensor, ...]


def every(*quick: str) -> list[Any]:
    """Return the names of all models, all but a few marked as slow."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in ZOO]


def outputs(module: Callable[..., Any], inputs: Batch) -> Batch:
    with torch.no_grad():
        result = module(*inputs)
    if isinstance(result, dict):
        return tuple(result.values())
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def gap(wanted: Batch, found: Batch) -> float:
    return max(relative(one, other) for one, other in zip(wanted, found, strict=True))


class Subject:
    """A model in float32, the network it became, and two batches of sizes that the import did not see."""

    def __init__(self, name: str) -> None:
        model, inputs = grown(name)
        example = tuple(value.float() if value.is_floating_point() else value for value in inputs)
        self.model = model.float().eval()
        self.network = ag.from_torch(self.model, example)
        self.batches = (
            tuple(value[2:3] for value in example),
            tuple(torch.cat([value, value[1:3]]) for value in example),
        )

    def check(self, module: Callable[..., Any], tolerance: float) -> None:
        for inputs in self.batches:
            wanted = outputs(self.model, inputs)
            assert [len(value) for value in wanted] == [len(inputs[0])] * len(wanted)
            assert gap(wanted, outputs(module, inputs)) <= tolerance


@pytest.fixture(scope="module")
def subjects() -> Callable[[str], Subject]:
    known: dict[str, Subject] = {}

    def subject(name: str) -> Subject:
        if name not in known:
            known[name] = Subject(name)
        return known[name]

    return subject


def python(network: Network, folder: Path) -> Callable[..., Any]:
    write("python", network, folder)
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def state(network: Network, folder: Path) -> Callable[..., Any]:
    """Only the numbers: loaded into the class that ``model.py`` has, strictly."""
    model = python(network, folder)
    assert isinstance(model, nn.Module)
    for value in (*model.parameters(), *model.buffers()):
        value.data.zero_()
    write("state-dict", network, folder)
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True), strict=True)
    return model


def pt2(network: Network, folder: Path) -> Callable[..., Any]:
    write("pt2", network, folder)
    return torch.export.load(folder / "model.pt2").module()


def onnx(network: Network, folder: Path) -> Callable[..., Any]:
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra archgraph[onnx]")
    write("onnx", network, folder)
    session = runtime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]

    def run(*inputs: Tensor) -> Batch:
        feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return tuple(map(torch.from_numpy, session.run(None, feed)))

    return run


def write(form: str, network: Network, folder: Path) -> None:
    """Write one format without trying it in a process of its own."""
    for name, content in FORMATS[form].write(network).items():
        with open(folder / name, "wb") as stream:
            stream.write(content) if isinstance(content, bytes) else content(stream)


FORMS = {"python": (python, 1e-6), "state-dict": (state, 1e-6), "pt2": (pt2, 1e-6), "onnx": (onnx, 1e-5)}


class Odd(nn.Module):
    """Functions, methods, a layer and one of several results that are no ops: opaque, all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.pair = nn.Linear(5, 4), nn.Bilinear(5, 4, 3)
        self.table = nn.Parameter(torch.linspace(0.5, 2.0, 12).reshape(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.special.erf(self.a(x)).cumsum(1)
        largest = torch.topk(y, 2, dim=1)[0]
        return torch.cat([self.pair(x, y), largest, torch.einsum("nd,kd->nk", y, self.table)], dim=1)


class Bessel(nn.Module):
    """What ONNX has no operator for."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


@pytest.mark.parametrize("form", FORMS)
def test_opaque_nodes_leave_in_every_form(form: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    model, x = Odd(), torch.randn(4, 5)
    reading = read(model, x)
    assert {type(reading.network.graph.op(name)).__name__ for name in reading.opaque} == {"Opaque"}
    assert len(reading.opaque) >= 5
    load, tolerance = FORMS[form]
    module = load(reading.network, tmp_path)
    for inputs in ((x[:1],), (torch.randn(6, 5),)):
        assert gap(outputs(model, inputs), outputs(module, inputs)) <= tolerance


def test_what_a_form_cannot_express_is_refused_with_those_that_can(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra archgraph[onnx]")
    model, x = Bessel(), torch.randn(4, 5)
    network = ag.from_torch(model, x)
    with pytest.raises(ExportError, match=r"ONNX cannot express the network(.|\n)*'pt2' or 'python'"):
        export(network, tmp_path, "onnx")
    assert not list(tmp_path.iterdir())
    for load in (python, pt2):
        assert gap(outputs(model, (x[:3],)), outputs(load(network, tmp_path), (x[:3],))) <= 1e-6


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", every(*QUICK))
def test_every_form_computes_what_the_model_did(
    name: str, form: str, tmp_path: Path, subjects: Callable[[str], Subject]
) -> None:
    load, tolerance = FORMS[form]
    subjects(name).check(load(subjects(name).network, tmp_path), tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_an_export_tries_every_file_in_a_process_of_its_own(
    name: str, tmp_path: Path, subjects: Callable[[str], Subject]
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra archgraph[onnx]")
    subject = subjects(name)
    done = export(subject.network, tmp_path, tuple(FORMATS), example=subject.batches[1])
    assert sorted(file.name for file in done.files) == ["model.onnx", "model.pt2", "model.py", "weights.pt"]
    assert len(done.checks) == len(FORMATS)


@pytest.fixture
def compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("name", every("lstm"))
def test_compiles(name: str, backend: str, subjects: Callable[[str], Subject]) -> None:
    module = subjects(name).network.to_torch().eval()
    subjects(name).check(torch.compile(module, backend=backend, fullgraph=True, dynamic=True), 1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own code
@pytest.mark.parametrize("name", ["mobilenet", "vit", "gpt", "lstm", "heads"])
def test_compiles_to_machine_code(name: str, subjects: Callable[[str], Subject]) -> None:
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("torch.compile needs a C++ compiler, and there is none")
    module = subjects(name).network.to_torch().eval()
    subjects(name).check(torch.compile(module, fullgraph=True), 1e-5)
