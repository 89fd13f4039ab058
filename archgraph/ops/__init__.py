"""The op set: one family a file, each op a small frozen class registered under its class name."""

from archgraph.graph import Op
from archgraph.ops.activation import (
    GELU,
    Activation,
    Cos,
    Gaussian,
    Identity,
    LeakyReLU,
    LogSigmoid,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Sin,
    Softplus,
    Softsign,
    Tanh,
)
from archgraph.ops.adaptive_pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from archgraph.ops.affine import Affine
from archgraph.ops.attention import MultiheadAttention
from archgraph.ops.convolution import Conv1d, Conv2d, Conv3d
from archgraph.ops.dot_product_attention import Attention
from archgraph.ops.drop_edge import DropEdge
from archgraph.ops.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d
from archgraph.ops.edges import Edges, EdgeWeights, Membership
from archgraph.ops.elman import RNN
from archgraph.ops.embedding import Embedding
from archgraph.ops.entrywise import Abs, Exp, Log, Log1p, Pow, Reciprocal, Rsqrt, Sqrt
from archgraph.ops.exponential import CELU, ELU, SELU
from archgraph.ops.gate import Gate
from archgraph.ops.gating import GLU
from archgraph.ops.graph_attention import GATConv, GATv2Conv, TransformerConv
from archgraph.ops.graph_convolution import ChebConv, GCNConv, SGConv, TAGConv
from archgraph.ops.graph_norm import GraphLayerNorm, GraphNorm, PairNorm
from archgraph.ops.graph_pooling import GraphAddPool, GraphAttentionPool, GraphMaxPool, GraphMeanPool
from archgraph.ops.graph_propagation import APPNP, GINConv
from archgraph.ops.graph_sage import SAGEConv
from archgraph.ops.instance_norm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from archgraph.ops.learned import ClassToken, PositionalEmbedding, Scale
from archgraph.ops.linear import Linear
from archgraph.ops.merge import Add, Concat, Divide, Maximum, Minimum, Multiply, Subtract
from archgraph.ops.norm import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from archgraph.ops.opaque import Opaque
from archgraph.ops.padding import Pad, ZeroPad2d
from archgraph.ops.permute import Permute, Transpose
from archgraph.ops.piecewise import Clamp, Hardsigmoid, Hardswish, ReLU6
from archgraph.ops.pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from archgraph.ops.prelu import PReLU
from archgraph.ops.recurrent import GRU, LSTM
from archgraph.ops.reduction import Max, Mean, Min, Sum
from archgraph.ops.repeat import Repeat
from archgraph.ops.repeat_tensor import RepeatTensor
from archgraph.ops.resampling import Interpolate, PixelShuffle, PixelUnshuffle
from archgraph.ops.reshape import Flatten, Reshape, Squeeze, Unsqueeze
from archgraph.ops.slicing import Narrow, Pick, Slice
from archgraph.ops.softmax import LogSoftmax, Softmax
from archgraph.ops.source import Input
from archgraph.ops.tensor_arithmetic import AddTensor, MultiplyTensor
from archgraph.ops.transposed_convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from archgraph.ops.zero import Zero

__all__ = [
    "APPNP",
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "Abs",
    "Activation",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "Add",
    "AddTensor",
    "Affine",
    "AlphaDropout",
    "Attention",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm",
    "ChebConv",
    "Clamp",
    "ClassToken",
    "Concat",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Cos",
    "Divide",
    "DropEdge",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "EdgeWeights",
    "Edges",
    "Embedding",
    "Exp",
    "Flatten",
    "GATConv",
    "GATv2Conv",
    "GCNConv",
    "GINConv",
    "Gate",
    "Gaussian",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GraphAddPool",
    "GraphAttentionPool",
    "GraphLayerNorm",
    "GraphMaxPool",
    "GraphMeanPool",
    "GraphNorm",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "Identity",
    "Input",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "Interpolate",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "Log",
    "Log1p",
    "LogSigmoid",
    "LogSoftmax",
    "Max",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Maximum",
    "Mean",
    "Membership",
    "Min",
    "Minimum",
    "Mish",
    "MultiheadAttention",
    "Multiply",
    "MultiplyTensor",
    "Narrow",
    "Op",
    "Opaque",
    "PReLU",
    "Pad",
    "PairNorm",
    "Permute",
    "Pick",
    "PixelShuffle",
    "PixelUnshuffle",
    "PositionalEmbedding",
    "Pow",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Reciprocal",
    "Repeat",
    "RepeatTensor",
    "Reshape",
    "Rsqrt",
    "SAGEConv",
    "SGConv",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Sin",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Squeeze",
    "Subtract",
    "Sum",
    "TAGConv",
    "Tanh",
    "TransformerConv",
    "Transpose",
    "Unsqueeze",
    "Zero",
    "ZeroPad2d",
]
