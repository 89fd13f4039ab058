"""The op set: one family a file, each op a small frozen class registered under its class name."""

from archgraph.graph import Op
from archgraph.ops.activation import (
    GELU,
    Activation,
    Gaussian,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from archgraph.ops.convolution import Conv2d
from archgraph.ops.dropout import Dropout
from archgraph.ops.linear import Linear
from archgraph.ops.merge import Add, Concat, Multiply
from archgraph.ops.norm import BatchNorm, LayerNorm
from archgraph.ops.pooling import AvgPool2d, GlobalAvgPool, GlobalMaxPool, MaxPool2d
from archgraph.ops.reshape import Flatten
from archgraph.ops.slicing import Slice
from archgraph.ops.source import Input

__all__ = [
    "GELU",
    "Activation",
    "Add",
    "AvgPool2d",
    "BatchNorm",
    "Concat",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Gaussian",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Identity",
    "Input",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Multiply",
    "Op",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Slice",
    "Softplus",
    "Tanh",
]
