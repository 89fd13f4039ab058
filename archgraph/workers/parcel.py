"""Values on their way to another process: a pickle, with the bytes of large tensors beside it instead of inside.

A tensor of at least :data:`LARGE` bytes is neither pickled nor copied: its memory is written to the pipe as it lies,
and read into the memory in which the other side uses it (pickle protocol 5, PEP 574). Parcels go between processes of
one search, never to or from a storage: what lies there is not pickled.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor

from archgraph.octets import octets

LARGE = 1 << 16
"""Bytes from which a tensor travels beside the pickle."""

CHUNK = 1 << 26
"""Bytes that are handed to the system at once."""

ALIGNED = 64
"""Shared tensors begin at multiples of so many bytes."""


@dataclass(frozen=True)
class Parcel:
    """A packed value.

    Args:
        pickled: the value without its large tensors.
        buffers: the memory of these, in the order of the pickle.
    """

    pickled: bytes
    buffers: tuple[memoryview, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each buffer."""
        return tuple(buffer.nbytes for buffer in self.buffers)


class _Pickler(pickle.Pickler):
    """Takes tensors as their memory; those on a device come as copies on the CPU."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tensor or value.layout is not torch.strided or value.requires_grad:
            return NotImplemented
        plain = value.cpu().resolve_conj().resolve_neg().contiguous()
        if not plain.numel():
            return _empty, (value.dtype, tuple(value.shape))
        memory = pickle.PickleBuffer(octets(plain).numpy().data)
        return _over, (memory, value.dtype, tuple(value.shape))


def _over(memory: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """Return the tensor over a writable piece of memory, which is not copied."""
    return torch.frombuffer(memory, dtype=dtype).reshape(shape)


def _empty(dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    return torch.empty(shape, dtype=dtype)


def pack(value: Any) -> Parcel:
    """Pack a value; its large tensors must not change before the parcel is sent."""
    stream, buffers = io.BytesIO(), []

    def beside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < LARGE:
            return True  # into the pickle
        buffers.append(raw)
        return False

    _Pickler(stream, protocol=5, buffer_callback=beside).dump(value)
    return Parcel(stream.getvalue(), tuple(buffers))


def unpack(pickled: bytes, buffers: Iterable[Any]) -> Any:
    """Return the value of a parcel.

    Args:
        pickled: what the parcel says.
        buffers: writable memory with the bytes of its buffers, which the value's tensors will use.
    """
    return pickle.loads(pickled, buffers=buffers)


# ------------------------------------------------------------------ through a pipe
def send(connection: Connection, value: Any) -> None:
    """Send a value through a pipe.

    Raises:
        OSError: when nobody is at the other end any more.
    """
    parcel = pack(value)
    connection.send_bytes(pickle.dumps(parcel.sizes))
    connection.send_bytes(parcel.pickled)
    for buffer in parcel.buffers:
        rest = buffer
        while rest.nbytes:
            rest = rest[os.write(connection.fileno(), rest[:CHUNK]) :]


def receive(connection: Connection) -> Any:
    """Return the next value that comes through a pipe; wait for it.

    Raises:
        EOFError: when the other end is closed.
        OSError: when the pipe is broken.
    """
    sizes: Sequence[int] = pickle.loads(connection.recv_bytes())
    pickled = connection.recv_bytes()
    buffers = [bytearray(size) for size in sizes]
    for buffer in buffers:
        rest = memoryview(buffer)
        while rest.nbytes:
            count = os.readv(connection.fileno(), [rest[:CHUNK]])
            if not count:
                raise EOFError
            rest = rest[count:]
    return unpack(pickled, buffers)


# ------------------------------------------------------------------ shared by many
class Shared:
    """A value that several processes read without a copy each: its large tensors lie in one file, mapped by all.

    The file has no name, so nothing is left behind when a process is killed. Each process sees its own changes alone.

    Args:
        value: what to share.
    """

    def __init__(self, value: Any) -> None:
        parcel = pack(value)
        self.pickled, self.sizes = parcel.pickled, parcel.sizes
        self.handle = _nameless()
        for buffer in parcel.buffers:
            rest = buffer
            while rest.nbytes:
                rest = rest[os.write(self.handle, rest[:CHUNK]) :]
            os.lseek(self.handle, -buffer.nbytes % ALIGNED, os.SEEK_CUR)
        os.ftruncate(self.handle, sum(size + -size % ALIGNED for size in self.sizes))

    def open(self) -> Any:
        """Return the value."""
        if not self.sizes:
            return unpack(self.pickled, ())
        memory = memoryview(mmap.mmap(self.handle, 0, access=mmap.ACCESS_COPY))
        buffers, start = [], 0
        for size in self.sizes:
            buffers.append(memory[start : start + size])
            start += size + -size % ALIGNED
        return unpack(self.pickled, buffers)

    def close(self) -> None:
        """Forget the file; it lives on with those who have opened it."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def __getstate__(self) -> tuple[bytes, tuple[int, ...], Any]:
        return self.pickled, self.sizes, reduction.DupFd(self.handle)  # while a process is started

    def __setstate__(self, state: tuple[bytes, tuple[int, ...], Any]) -> None:
        self.pickled, self.sizes, handle = state
        self.handle = handle.detach()


def _nameless() -> int:
    """Return an open file that nobody else finds, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("archgraph")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
