"""Seeds: every stream of randomness is derived from one study seed and the names of what it is for."""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: object) -> int:
    """Derive an independent 63-bit seed for the purpose that ``names`` spell.

    The result depends on nothing but the arguments, so it is the same for any order of evaluation and any number of
    workers.

    Args:
        seed: the parent seed.
        names: what the stream is for; their ``repr`` is hashed.

    Returns:
        An integer in ``[0, 2**63)``.

    >>> derive(0, "init", "conv2d1") == derive(0, "init", "conv2d1")
    True
    >>> derive(0, "init", "conv2d1") == derive(1, "init", "conv2d1")
    False
    """
    text = repr((int(seed), *names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1
