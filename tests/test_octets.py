"""Tensors as bytes, whatever their type, shape and strides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archgraph.octets import octets

CASES = {
    "float32": torch.tensor([[1.5, -0.0, float("nan")], [0.0, 2.5, -3.0]]),
    "transposed": torch.arange(12, dtype=torch.float64).reshape(3, 4).T,
    "every second": torch.arange(10)[1::2],
    "one of many": torch.arange(10.0)[3::7],  # a stride of 7, and contiguous for having one entry alone
    "number": torch.tensor(2.5, dtype=torch.bfloat16),
    "bool": torch.tensor([True, False, True]),
    "empty": torch.empty(0, 5),
    "complex": torch.tensor([1 + 2j, 3 - 4j]),
    "needs a gradient": torch.arange(3.0, requires_grad=True),
}


@pytest.mark.parametrize("tensor", CASES.values(), ids=CASES)
def test_they_are_the_bytes_of_the_entries_in_order(tensor: Tensor) -> None:
    found = octets(tensor)
    assert found.dtype == torch.uint8 and found.shape == (tensor.numel() * tensor.element_size(),)
    entries = [one.detach().clone() for one in tensor.flatten()]
    assert found.tolist() == [byte for one in entries for byte in one.untyped_storage().tolist()]


def test_zeros_differ_by_sign_and_nan_is_itself() -> None:
    assert not torch.equal(octets(torch.tensor([0.0])), octets(torch.tensor([-0.0])))
    assert torch.equal(octets(torch.tensor([float("nan")])), octets(torch.tensor([float("nan")])))
