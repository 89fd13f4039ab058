"""Export: a network leaves as files that need no archgraph, tried in a fresh process before success is reported."""

from archgraph.errors import ExportError
from archgraph.export.export import FORMATS, Exported, Format, export
from archgraph.export.python import source, state_dict
from archgraph.export.verify import same_bits, verify

__all__ = ["FORMATS", "ExportError", "Exported", "Format", "export", "same_bits", "source", "state_dict", "verify"]
