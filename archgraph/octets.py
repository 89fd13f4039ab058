"""Tensors as the bytes that they are."""

from __future__ import annotations

import torch
from torch import Tensor


def octets(tensor: Tensor) -> Tensor:
    """Return the bytes of a tensor, by which 0 differs from -0 and NaN is equal to itself.

    A tensor of one entry may have any stride, of which a view as bytes would be refused; so strides are set.

    Args:
        tensor: on any device, of any shape and strides.

    Returns:
        Its bytes on the CPU, ``[entries * bytes an entry]``, uint8; the tensor's own memory where that will do.

    >>> octets(torch.tensor([1, 256], dtype=torch.int16)).tolist()
    [1, 0, 0, 1]
    """
    plain = tensor.detach().cpu().contiguous()
    return plain.as_strided((plain.numel(),), (1,), plain.storage_offset()).view(torch.uint8)
