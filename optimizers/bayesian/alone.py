"""Computing by oneself: one thread, no warnings of a library that knows no better, random numbers of one's own."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def alone(seed: int) -> Iterator[None]:
    """Compute with one torch thread from a seed, and put back what was set.

    Threads that wait for one another cost a suggestion many times its arithmetic, and sums in another order would end
    in other suggestions. Random numbers of the caller are left where they were.

    Args:
        seed: of torch's random numbers.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(seed % (1 << 63))
            yield
    finally:
        torch.set_num_threads(before)


def load_botorch() -> None:
    """Import BoTorch and what it is built on, which is full of what other libraries call deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("botorch.models", "botorch.acquisition.multi_objective.logei", "botorch.optim"):
            importlib.import_module(name)
