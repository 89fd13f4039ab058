"""Import: any ``torch.nn.Module`` to a network, by tracing its code and reading every call."""

from archgraph.reading.reading import Reading, from_torch, read

__all__ = ["Reading", "from_torch", "read"]
