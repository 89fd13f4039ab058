"""Reading attention, transformer layers and recurrent layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from archgraph.reading.elementwise import flow_of
from archgraph.reading.layers import split_state
from archgraph.reading.reader import Flow, Held, NotRead, Reader, Unread, holds_zeros
from archgraph.reading.tables import MODULES, layer, make

CELL = Unread("the graph does not have the cell state of an LSTM")
WEIGHTS = Unread("the graph does not have the weights of attention")


# ---------------------------------------------------------------------- attention
@layer(nn.MultiheadAttention)
def _(read: Reader, at: Any, query: Any, key: Any, value: Any, key_padding_mask: Any = None, need_weights: bool = True,
      attn_mask: Any = None, average_attn_weights: bool = True, is_causal: bool = False) -> Any:  # fmt: skip
    causal = _causal(attn_mask)
    if key_padding_mask is not None:
        raise NotRead("masks tokens of single samples")
    flows = [flow_of(part) for part in (query, key, value)]
    return _attention(read, at.module, at.held, flows, causal), WEIGHTS


def _attention(read: Reader, module: Any, tensors: Any, flows: list[Flow], causal: bool) -> Flow:
    if module.bias_k is not None or module.add_zero_attn or not module._qkv_same_embed_dim:
        raise NotRead("has extra keys, or keys and values of another width")
    batch = 0 if module.batch_first else 1
    if any(flow.batch != batch for flow in flows):
        raise NotRead(f"reads tensors whose batch axis is not axis {batch}")
    query, key, value = (read.units_last(Flow(flow.node)) for flow in flows)
    bias = module.in_proj_bias is not None
    if query == key == value:
        op = make(
            "MultiheadAttention", module.embed_dim, module.num_heads, bias=bias, dropout=float(module.dropout),
            causal=causal,
        )  # fmt: skip
        return Flow(read.add(op, query, weights=tensors).node, batch)
    if module.dropout:
        raise NotRead("drops attention weights between two sequences")
    parts = [
        read.add(make("Linear", module.embed_dim, bias=bias), source, weights=_rows(tensors, place), part=name)
        for place, (name, source) in enumerate((("q", query), ("k", key), ("v", value)))
    ]
    mixed = read.add(make("Attention", module.num_heads, causal), *parts, part="mixed")
    out = read.add(make("Linear", module.embed_dim, bias=bias), mixed, weights=split_state("out_proj", tensors))
    return Flow(out.node, batch)


def _rows(tensors: Any, place: int) -> dict[str, Held]:
    """Return the projection of queries (0), keys (1) or values (2)."""
    found = {"weight": tensors["in_proj_weight"], "bias": tensors.get("in_proj_bias")}
    return {
        key: replace(held, value=held.value.chunk(3)[place], name=f"{held.name}[{place}]")
        for key, held in found.items()
        if held is not None
    }


def _causal(mask: Any) -> bool:
    """Whether a mask hides exactly what comes later.

    Raises:
        NotRead: when it hides something else.
    """
    if mask is None:
        return False
    if (
        isinstance(mask, Held)
        and not mask.trainable
        and mask.value.ndim == 2
        and mask.value.shape[0] == mask.value.shape[1]
    ):
        value = mask.value
        later = torch.ones_like(value, dtype=torch.bool).triu(1)
        hidden = value if value.dtype == torch.bool else value == float("-inf")
        kept = torch.zeros_like(later) if value.dtype == torch.bool else value.masked_fill(hidden, 0.0) != 0.0
        if torch.equal(hidden, later) and not bool(kept.any()):
            return True
    raise NotRead("has a mask that is not the causal one")


# ---------------------------------------------------------------------- transformer layers
@layer(nn.TransformerEncoderLayer)
def _(read: Reader, at: Any, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None,
      is_causal: bool = False) -> Flow:  # fmt: skip
    if src_key_padding_mask is not None:
        raise NotRead("masks tokens of single samples")
    module, stem, x, causal = at.module, read.stem, flow_of(src), _causal(src_mask)

    def call(name: str, kind: str, value: Flow) -> Flow:
        read.stem = f"{stem}_{kind}"
        part = getattr(module, name)
        inner = replace(at, module=part, held=split_state(name, at.held), path=f"{at.path}.{name}")
        return MODULES[type(part)](read, inner, value)

    def attend(value: Flow) -> Flow:
        read.stem = f"{stem}_self_attn"
        found = _attention(read, module.self_attn, split_state("self_attn", at.held), [value] * 3, causal)
        return call("dropout1", "dropout1", found)

    def feed(value: Flow) -> Flow:
        hidden = call("linear1", "linear1", value)
        read.stem = f"{stem}_activation"
        bent = _activation(read, module.activation, hidden)
        return call("dropout2", "dropout2", call("linear2", "linear2", call("dropout", "dropout", bent)))

    def add(name: str, one: Flow, other: Flow) -> Flow:
        read.stem = f"{stem}_{name}"
        return read.add(make("Add"), one, other)

    if module.norm_first:
        x = add("add1", x, attend(call("norm1", "norm1", x)))
        return add("add2", x, feed(call("norm2", "norm2", x)))
    x = call("norm1", "norm1", add("add1", x, attend(x)))
    return call("norm2", "norm2", add("add2", x, feed(x)))


def _activation(read: Reader, function: Any, x: Flow) -> Flow:
    if function is functional.relu or isinstance(function, nn.ReLU):
        return read.add(make("ReLU"), x)
    if function is functional.gelu:
        return read.add(make("GELU"), x)
    if isinstance(function, nn.GELU):
        return read.add(make("GELU", function.approximate), x)
    raise NotRead("has an activation that is neither ReLU nor GELU")


@layer(nn.TransformerEncoder)
def _(read: Reader, at: Any, src: Any, mask: Any = None, src_key_padding_mask: Any = None,
      is_causal: bool | None = None) -> Flow:  # fmt: skip
    if src_key_padding_mask is not None:
        raise NotRead("masks tokens of single samples")
    stem, x = read.stem, flow_of(src)
    for place, part in enumerate(at.module.layers):
        read.stem = f"{stem}_layers_{place}"
        name = f"layers.{place}"
        inner = replace(at, module=part, held=split_state(name, at.held), path=f"{at.path}.{name}")
        if type(part) not in MODULES:
            raise NotRead(f"has a layer that the tables do not have ({type(part).__name__})")
        x = MODULES[type(part)](read, inner, x, mask)
    if at.module.norm is not None:
        read.stem = f"{stem}_norm"
        inner = replace(at, module=at.module.norm, held=split_state("norm", at.held), path=f"{at.path}.norm")
        x = MODULES[type(at.module.norm)](read, inner, x)
    return x


# ---------------------------------------------------------------------- recurrent layers
@layer(nn.LSTM, nn.GRU)
def _(read: Reader, at: Any, input: Any, hx: Any = None) -> Any:
    module, x, stem = at.module, flow_of(input), read.stem
    states = hx if isinstance(hx, tuple | list) else () if hx is None else (hx,)
    if not all(holds_zeros(state) for state in states):
        raise NotRead("starts from states that are not zero")
    if module.proj_size if isinstance(module, nn.LSTM) else 0:
        raise NotRead("projects its hidden state")
    batch = 0 if module.batch_first else 1
    if x.batch != batch:
        raise NotRead(f"reads a tensor whose batch axis is not axis {batch}")
    kind, hidden, both = type(module).__name__, module.hidden_size, module.bidirectional
    flow, finals = read.units_last(Flow(x.node)), []
    for place in range(module.num_layers):
        read.stem = stem if place == module.num_layers - 1 else f"{stem}_layer{place}"
        names = {key: key.replace(f"_l{place}", "_l0") for key in at.held if _of_layer(key, place)}
        op = make(kind, hidden, bias=module.bias, bidirectional=both)
        flow = read.add(op, flow, weights={new: at.held[old] for old, new in names.items()})
        finals += _finals(read, flow, hidden, both)
        if module.dropout and place < module.num_layers - 1:
            flow = read.add(make("Dropout", p=float(module.dropout)), flow, part="dropout")
    states_after = tuple(finals)
    out = Flow(flow.node, batch)
    return out, (states_after, CELL) if isinstance(module, nn.LSTM) else states_after


def _of_layer(key: str, place: int) -> bool:
    return key.removesuffix("_reverse").endswith(f"_l{place}")


def _finals(read: Reader, flow: Flow, hidden: int, both: bool) -> list[Flow]:
    """Return the last hidden state, of either direction."""
    last = read.add(make("Pick", 1, -1), flow, part="last")
    if not both:
        return [last]
    first = read.add(make("Pick", 1, 0), flow, part="first")
    return [
        read.add(make("Slice", 0, hidden), last, part="forward"),
        read.add(make("Slice", hidden, 2 * hidden), first, part="backward"),
    ]
