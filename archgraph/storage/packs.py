"""Tensors of trials: packed into one file a trial, those that a trial shares with its parent stored once.

A manifest says for every tensor of a trial (of its network, of the optimizer's state, of what the training started
from) its hash and the pack that has it::

    {"packs": ["<sha256>.safetensors", ...], "network": {"a.weight": [0, "<sha256>"], ...}, "state": {...}}

A pack is a safetensors file with tensors by their hash. What a child has of its parent stays in the parent's pack, or
where that has it from. One file a tensor would be simpler, but a network of hundreds of layers would then take seconds
to bring to the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from archgraph.errors import DataError, StorageError
from archgraph.octets import octets
from archgraph.storage.artifacts import Artifacts

Groups = Mapping[str, Mapping[str, Tensor]]
"""Tensors by group (``"network"``, ``"state"``) and name."""

SMALL = 256
"""Bytes below which a tensor is rather stored again than looked for in another file: counters, biases of few units."""


def put_groups(artifacts: Artifacts, groups: Groups, base: str | None = None, *, mend: bool = False) -> str:
    """Store tensors and return the name of their manifest, which depends on nothing but the arguments.

    Args:
        artifacts: where to.
        groups: the tensors.
        base: manifest of the parent; what it has is not stored again.
        mend: whether files that are there already are read and replaced if they are damaged.

    Raises:
        StorageError: when they cannot be written.
    """
    hashes = {group: {name: hash_of(one) for name, one in tensors.items()} for group, tensors in groups.items()}
    pack_of = _pack_of(artifacts, base)
    own = {}
    for group, tensors in groups.items():
        for name, tensor in tensors.items():
            digest = hashes[group][name]
            if tensor.nbytes < SMALL or pack_of.get(digest) not in artifacts:
                own[digest] = tensor
    pack = artifacts.put(_packed(own), "safetensors", mend=mend) if own else ""
    place = {
        digest: pack if digest in own else pack_of[digest] for named in hashes.values() for digest in named.values()
    }
    packs = sorted(set(place.values()))
    table: dict[str, Any] = {"packs": packs}
    for group, named in hashes.items():
        table[group] = {name: [packs.index(place[digest]), digest] for name, digest in named.items()}
    return artifacts.put(json.dumps(table).encode(), "json", mend=mend)


def mend_groups(artifacts: Artifacts, manifest: str, groups: Groups, base: str | None = None) -> None:
    """Put back what is missing or damaged of a manifest and its packs, from the same tensors made anew.

    Packs of earlier trials are mended with those.

    Raises:
        StorageError: when they cannot be written.
        DataError: when the manifest is damaged and these tensors are not those it was made of.
    """
    try:
        table = read_manifest(artifacts, manifest)
    except (DataError, StorageError):
        if put_groups(artifacts, groups, base, mend=True) != manifest:
            raise
        table = read_manifest(artifacts, manifest)
    by_hash = {hash_of(tensor): tensor for tensors in groups.values() for tensor in tensors.values()}
    for number, pack in enumerate(table["packs"]):
        wanted = {digest for _, _, place, digest in _entries(table) if place == number}
        content = _packed({digest: by_hash[digest] for digest in wanted if digest in by_hash})
        if pack.startswith(hashlib.sha256(content).hexdigest()):
            artifacts.put(content, "safetensors", mend=True)


def read_group(artifacts: Artifacts, manifest: str, group: str) -> dict[str, Tensor]:
    """Return the tensors of one group of a manifest, each checked against its hash.

    Raises:
        StorageError: when a file is missing.
        DataError: when one is damaged.
    """
    table = read_manifest(artifacts, manifest)
    named: Mapping[str, tuple[int, str]] = table.get(group, {})
    found: dict[str, Tensor] = {}
    for number, pack in enumerate(table["packs"]):
        digests = list(dict.fromkeys(digest for place, digest in named.values() if place == number))
        for digest, tensor in zip(digests, artifacts.tensors(pack, digests) if digests else (), strict=True):
            if hash_of(tensor) != digest:
                raise artifacts.damaged(pack)
            found[digest] = tensor
    # what is stored once is a tensor of its own under every name
    return {name: found[digest].clone() for name, (_, digest) in named.items()}


def read_manifest(artifacts: Artifacts, name: str) -> dict[str, Any]:
    """Return a manifest.

    Raises:
        StorageError: when it is missing.
        DataError: when it is damaged.
    """
    return dict(json.loads(artifacts.get(name)))


def hash_of(tensor: Tensor) -> str:
    """Return the hash of a tensor's type, shape and bits."""
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(octets(tensor).numpy().data)
    return digest.hexdigest()


def _pack_of(artifacts: Artifacts, base: str | None) -> dict[str, str]:
    """Return the pack of every tensor of a manifest by its hash; one that cannot be read has none."""
    if base is None:
        return {}
    try:
        table = read_manifest(artifacts, base)
    except (DataError, StorageError):
        return {}
    return {digest: table["packs"][place] for _, _, place, digest in _entries(table)}


def _entries(table: Mapping[str, Any]) -> Iterator[tuple[str, str, int, str]]:
    """Yield group, name, number of the pack and hash of every tensor of a manifest."""
    for group, named in table.items():
        if group != "packs":
            for name, (place, digest) in named.items():
                yield group, name, place, digest


def _packed(tensors: Mapping[str, Tensor]) -> bytes:
    """Return a safetensors file; the same tensors give the same bytes."""
    from safetensors.torch import save

    return save({name: tensors[name].detach().cpu().contiguous().clone() for name in sorted(tensors)})
