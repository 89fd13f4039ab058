"""``model.pt2``: the same bits at two batch sizes in a fresh process, and nothing of this machine inside."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from archgraph import ops
from archgraph.errors import ExportError
from archgraph.export import export, pt2, same_bits, trial
from archgraph.graph import Graph, chain
from archgraph.net import Network
from tests.export.test_export import MANY_OPS, TOKENS, network
from tests.strategies import graphs, network_of

TANGLED = """
first = Input((4,))
second = Input((4,))
once = Linear(4)(first)
norm = BatchNorm()(once)
again = Linear(4)(norm) @ once
same = Identity()(again)
sum = Add()(same, second)
return sum, again, same, second
"""


def small() -> Network:
    return network("x = Input((3,))\na = Linear(5)(x)\nb = BatchNorm()(a)\nreturn b\n")


@pytest.mark.slow
def test_a_small_network_at_batches_of_four_and_one(tmp_path: Path) -> None:
    done = export(small(), tmp_path, "pt2", example=torch.randn(4, 3))
    assert [path.name for path in done.files] == ["model.pt2"]
    assert done.checks == (
        "model.pt2: outputs of batches of 4 and 1 equal bit for bit in a fresh process without archgraph (float32)",
    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("text", [MANY_OPS, TOKENS, TANGLED], ids=["many ops", "tokens", "tangled"])
def test_the_export_computes_the_same_bits(text: str, dtype: torch.dtype, tmp_path: Path) -> None:
    done = export(network(text, dtype), tmp_path, "pt2")
    assert "batches of 3 and 1" in done.checks[0] and str(dtype)[6:] in done.checks[0]


def test_any_batch_size_is_taken_and_weights_keep_their_names() -> None:
    of = network(TANGLED, torch.float64)
    program = torch.export.load(io.BytesIO(pt2.write(of)["model.pt2"]))
    assert {"once.weight", "once.bias", "norm.running_mean"} <= program.state_dict.keys()
    assert not any(key.startswith("again") for key in program.state_dict)  # tied
    module, plain = program.module(), of.to_torch().eval()
    for size in (1, 2, 6):
        inputs = torch.randn(size, 4, dtype=torch.float64), torch.randn(size, 4, dtype=torch.float64)
        for ours, theirs in zip(plain(*inputs), module(*inputs), strict=True):
            torch.testing.assert_close(theirs, ours, rtol=0.0, atol=0.0)


def test_the_archive_says_nothing_of_this_machine_and_is_the_same_every_time() -> None:
    data = pt2.write(small())["model.pt2"]
    assert data == pt2.write(small())["model.pt2"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist())
    assert b"linear" in text
    assert str(Path(pt2.__file__).parents[2]).encode() not in text and b"site-packages" not in text


@pytest.mark.slow
def test_a_file_of_another_network_fails_the_check(tmp_path: Path) -> None:
    export(small(), tmp_path, "pt2")
    other = Network.init(small().graph, seed=6)
    with pytest.raises(ExportError, match=r"model.pt2 does not compute what the network does: output 'b' differs"):
        pt2.verify(other, tmp_path)
    (tmp_path / "model.pt2").write_bytes(b"cut short")
    with pytest.raises(ExportError, match=r"model.pt2 does not run in a fresh process"):
        pt2.verify(small(), tmp_path)


@pytest.mark.slow
def test_a_failed_check_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(small(), tmp_path, "pt2")
    before = (tmp_path / "model.pt2").read_bytes()
    monkeypatch.setattr(sys.modules["archgraph.export.verify"], "same_bits", lambda *tensors: False)
    with pytest.raises(ExportError, match="differs"):
        export(network(TOKENS), tmp_path, "pt2")
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]
    assert (tmp_path / "model.pt2").read_bytes() == before


def test_what_torch_cannot_trace_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise RuntimeError("data-dependent expression")

    monkeypatch.setattr(torch.export, "export", refuse)
    with pytest.raises(ExportError, match=r"torch.export cannot express(.|\n)*data-dependent(.|\n)*'python'"):
        pt2.write(small())


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    state = torch.random.get_rng_state()
    pt2.write(network("x = Input((2, 5, 3))\na = Conv2d(4, kernel_size=3, padding=1)(x)\nb = Flatten()(a)\nreturn b\n"))
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.slow
def test_a_batch_of_one_can_be_the_example(tmp_path: Path) -> None:
    of = Network.init(chain(ops.Input((3,)), ops.Linear(2)), seed=1)
    assert "batches of 1 and 2" in export(of, tmp_path, "pt2", example=torch.randn(1, 3)).checks[0]


@pytest.mark.slow
@given(graph=graphs())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_networks_compute_the_same_bits(graph: Graph) -> None:
    of = network_of(graph)
    module = torch.export.load(io.BytesIO(pt2.write(of)["model.pt2"])).module()
    batches = trial.two_sizes(of)
    for inputs, wanted in zip(batches, trial.reference(of, *batches), strict=True):
        with trial.plain_torch():
            outputs = module(*inputs)
        found = outputs if isinstance(outputs, tuple) else (outputs,)
        assert all(same_bits(ours, theirs) for ours, theirs in zip(wanted, found, strict=True))
