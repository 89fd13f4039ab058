"""Nothing of the caller's is changed."""

from __future__ import annotations

import warnings

import torch

from optimizers.bayesian import alone


def test_threads_and_random_numbers_are_put_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with alone(7):
        assert torch.get_num_threads() == 1
        inside = torch.rand(4)
        warnings.warn("of a library", stacklevel=1)
    try:
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.rand(3), expected)
        with alone(7):
            assert torch.equal(torch.rand(4), inside)
    finally:
        torch.set_num_threads(before)
