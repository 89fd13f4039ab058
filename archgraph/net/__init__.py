"""Networks: graphs with weights, lowered to torch, carried through edits, and read from inside."""

from archgraph.net.calibrate import calibrate, estimate, made_units
from archgraph.net.capture import Captured, capture
from archgraph.net.inherit import State, inherit, inherit_state
from archgraph.net.lowering import lower, module_of, source, target
from archgraph.net.network import Network, init_node, tensor_shapes
from archgraph.net.nodes import Nodes, Samples, arguments, batches, counted, passed
from archgraph.net.state import load_state, parameters_of, state_of

__all__ = [
    "Captured",
    "Network",
    "Nodes",
    "Samples",
    "State",
    "arguments",
    "batches",
    "calibrate",
    "capture",
    "counted",
    "estimate",
    "inherit",
    "inherit_state",
    "init_node",
    "load_state",
    "lower",
    "made_units",
    "module_of",
    "parameters_of",
    "passed",
    "source",
    "state_of",
    "target",
    "tensor_shapes",
]
