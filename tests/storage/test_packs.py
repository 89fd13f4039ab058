"""Packs of tensors: every bit comes back, what a child shares is stored once, damage is noticed and mended."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archgraph.errors import DataError, StorageError
from archgraph.storage import Artifacts
from archgraph.storage.packs import SMALL, hash_of, mend_groups, put_groups, read_group, read_manifest

AWKWARD: dict[str, Tensor] = {
    "float": torch.randn(7, 11, generator=torch.Generator().manual_seed(0)),
    "double": torch.arange(5, dtype=torch.float64) / 3,
    "half": torch.arange(6).to(torch.float16).reshape(2, 3),
    "bfloat": torch.arange(6).to(torch.bfloat16).reshape(3, 2),
    "whole": torch.arange(200).reshape(40, 5),
    "truth": torch.tensor([True, False, True]),
    "scalar": torch.tensor(3.5),
    "counter": torch.tensor(7),
    "empty": torch.zeros(0, 3),
    "not numbers": torch.tensor([math.nan, math.inf, -math.inf, -0.0]),
    "transposed": torch.arange(300.0).reshape(20, 15).T,
    "a view": torch.arange(400.0)[100:300],
}


@pytest.fixture(params=["memory", "folder"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "a" if request.param == "folder" else None)


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert hash_of(found[name]) == hash_of(tensor)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def test_every_bit_comes_back(artifacts: Artifacts) -> None:
    state = {"a.weight/step": torch.tensor(3.0), "a.weight/exp_avg": torch.ones(4, 3)}
    name = put_groups(artifacts, {"network": AWKWARD, "state": state})
    same(read_group(artifacts, name, "network"), AWKWARD)
    same(read_group(artifacts, name, "state"), state)
    assert read_group(artifacts, name, "start") == {}
    assert put_groups(artifacts, {"network": AWKWARD, "state": state}) == name


def test_nothing_at_all(artifacts: Artifacts) -> None:
    name = put_groups(artifacts, {})
    assert read_manifest(artifacts, name) == {"packs": []}
    assert read_group(artifacts, name, "network") == {}


def test_hashes_tell_type_shape_and_bits_apart() -> None:
    alike = [
        torch.zeros(6),
        torch.zeros(2, 3),
        torch.zeros(6, dtype=torch.int32),
        -torch.zeros(6),
        torch.zeros(3, dtype=torch.float64),
    ]
    assert len({hash_of(tensor) for tensor in alike}) == len(alike)
    assert hash_of(torch.arange(6.0).reshape(2, 3).T) == hash_of(torch.tensor([[0.0, 3], [1, 4], [2, 5]]))


def test_what_a_child_shares_is_stored_once(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    parent = {f"layer{i}.weight": torch.randn(30, 40) for i in range(6)}
    child = {**parent, "layer2.weight": torch.randn(30, 44)}
    grandchild = {**child, "layer4.weight": torch.randn(30, 48)}
    first = put_groups(artifacts, {"network": parent})
    one = size(tmp_path)
    second = put_groups(artifacts, {"start": parent, "network": child}, first)
    two = size(tmp_path)
    third = put_groups(artifacts, {"start": child, "network": grandchild}, second)
    assert 4 * 30 * 44 <= two - one < 4 * 30 * 44 + 200
    assert 4 * 30 * 48 <= size(tmp_path) - two < 4 * 30 * 48 + 200
    assert len(read_manifest(artifacts, third)["packs"]) == 3
    for name, wanted in ((first, parent), (second, child), (third, grandchild)):
        same(read_group(artifacts, name, "network"), wanted)
    same(read_group(artifacts, third, "start"), child)


def test_small_tensors_are_not_looked_for_elsewhere(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    least, most = torch.zeros(SMALL // 4 - 1), torch.zeros(SMALL // 4)
    base = put_groups(artifacts, {"network": {"least": least, "most": most}})
    child = read_manifest(
        artifacts, put_groups(artifacts, {"network": {"least": least, "most": most, "new": most + 1}}, base)
    )
    (pack,) = read_manifest(artifacts, base)["packs"]
    assert child["packs"][child["network"]["most"][0]] == pack
    assert child["packs"][child["network"]["least"][0]] != pack


def test_tensors_of_one_content_are_apart(artifacts: Artifacts) -> None:
    name = put_groups(artifacts, {"network": {"a": torch.ones(5), "b": torch.ones(5)}})
    found = read_group(artifacts, name, "network")
    found["a"][0] = 7
    assert found["b"].tolist() == [1.0] * 5
    assert read_group(artifacts, name, "network")["a"].tolist() == [1.0] * 5


# ------------------------------------------------------------------ damage
def stored(tmp_path: Path) -> tuple[Artifacts, dict[str, Any], str, Path, Path]:
    artifacts = Artifacts(tmp_path)
    groups = {"network": {"a.weight": torch.randn(30, 40), "a.bias": torch.randn(30)}, "state": {"a/m": torch.ones(9)}}
    name = put_groups(artifacts, groups)
    (pack,) = tmp_path.rglob("*.safetensors")
    return artifacts, groups, name, pack, tmp_path / name[:2] / name


DAMAGE = {
    "empty": lambda content: b"",
    "cut in the head": lambda content: content[:50],
    "cut": lambda content: content[:-7],
    "longer": lambda content: content + b"\x00" * 8,
    "one bit of a tensor": lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
    "another head": lambda content: content.replace(b"F32", b"I32", 1),
    "no such file": lambda content: b"something else " * 40,
    "a foreign file": lambda content: foreign(),
    "a head that lies": lambda content: (2**62).to_bytes(8, "little") + content[8:],
}


def foreign() -> bytes:
    from safetensors.torch import save

    return save({"a.weight": torch.zeros(30, 40)})


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_of_a_pack_is_noticed_and_mended(damage: Any, tmp_path: Path) -> None:
    artifacts, groups, name, pack, _ = stored(tmp_path)
    whole = pack.read_bytes()
    pack.write_bytes(damage(whole))
    with pytest.raises(DataError, match=r"artifact \w+.safetensors .* is damaged"):
        read_group(artifacts, name, "network")
        read_group(artifacts, name, "state")
    mend_groups(artifacts, name, groups)
    assert pack.read_bytes() == whole
    same(read_group(artifacts, name, "network"), groups["network"])


def test_a_pack_that_is_gone(tmp_path: Path) -> None:
    artifacts, groups, name, pack, _ = stored(tmp_path)
    whole = pack.read_bytes()
    pack.unlink()
    with pytest.raises(StorageError, match="cannot read artifact"):
        read_group(artifacts, name, "network")
    mend_groups(artifacts, name, groups)
    assert pack.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", b"{}", None], ids=["empty", "another", "a bit"])
def test_damage_of_a_manifest_is_noticed_and_mended(content: bytes | None, tmp_path: Path) -> None:
    artifacts, groups, name, _, manifest = stored(tmp_path)
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-1] + b"]" if content is None else content)
    with pytest.raises(DataError, match="is damaged"):
        read_group(artifacts, name, "network")
    mend_groups(artifacts, name, groups)
    same(read_group(artifacts, name, "network"), groups["network"])


def test_a_manifest_is_not_mended_with_other_tensors(tmp_path: Path) -> None:
    artifacts, _, name, _, manifest = stored(tmp_path)
    manifest.unlink()
    with pytest.raises(StorageError):
        mend_groups(artifacts, name, {"network": {"a.weight": torch.zeros(30, 40)}})
    assert not manifest.exists()


def test_a_parent_that_cannot_be_read_is_not_relied_on(tmp_path: Path) -> None:
    artifacts, groups, base, pack, manifest = stored(tmp_path)
    pack.unlink()
    child = put_groups(artifacts, groups, base)
    same(read_group(artifacts, child, "network"), groups["network"])
    manifest.write_text("{")
    child = put_groups(artifacts, {"network": {"b": torch.ones(99)}}, base)
    assert read_group(artifacts, child, "network")["b"].sum() == 99


def test_a_chain_is_mended_from_its_beginning(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    parent = {"network": {"a": torch.randn(100), "b": torch.randn(100)}}
    child = {"network": {**parent["network"], "b": torch.randn(99)}}
    first = put_groups(artifacts, parent)
    second = put_groups(artifacts, child, first)
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    mend_groups(artifacts, first, parent)
    same(read_group(artifacts, first, "network"), parent["network"])
    with pytest.raises(DataError):
        read_group(artifacts, second, "network")
    mend_groups(artifacts, second, child, first)
    same(read_group(artifacts, second, "network"), child["network"])


def test_a_manifest_is_a_text_for_people(tmp_path: Path) -> None:
    _, groups, _, pack, manifest = stored(tmp_path)
    table = json.loads(manifest.read_text())
    assert table["packs"] == [pack.name]
    assert table["network"]["a.bias"] == [0, hash_of(groups["network"]["a.bias"])]


# ------------------------------------------------------------------ strides
def test_one_entry_may_have_any_stride(artifacts: Artifacts) -> None:
    odd = torch.arange(16.0)[3::16].reshape(1, 1).as_strided((1, 1), (8, 8))
    assert odd.is_contiguous() and hash_of(odd) == hash_of(torch.tensor([[3.0]]))
    name = put_groups(artifacts, {"network": {"a": odd}})
    assert read_group(artifacts, name, "network")["a"].tolist() == [[3.0]]
