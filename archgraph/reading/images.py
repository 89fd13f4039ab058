"""Reading pooling, padding and changes of resolution."""

from __future__ import annotations

from typing import Any

from torch import nn

from archgraph.reading.elementwise import flow_of
from archgraph.reading.layers import _batched, _sides
from archgraph.reading.reader import Flow, NotRead, Reader
from archgraph.reading.tables import function, layer, make


# ---------------------------------------------------------------------- pooling
def _window(read: Reader, kind: str, x: Any, kernel: Any, stride: Any, padding: Any, **options: Any) -> Flow:
    stride = None if stride is None or (isinstance(stride, list | tuple) and not stride) else _sides(stride)
    op = make(kind, _sides(kernel), stride=stride, padding=_sides(padding), **options)
    return read.add(op, read.units_on(_batched(flow_of(x)), 0))


def _max_pool(kind: str) -> Any:
    def rule(read: Reader, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
             ceil_mode: bool = False, return_indices: bool = False) -> Flow:  # fmt: skip
        if return_indices:
            raise NotRead("returns where the largest values were")
        if _sides(dilation) != 1 and isinstance(_sides(dilation), tuple):
            raise NotRead("has a dilation that differs by side")
        options = {"dilation": _sides(dilation), "ceil_mode": ceil_mode}
        return _window(read, kind, input, kernel_size, stride, padding, **options)

    return rule


def _avg_pool(kind: str) -> Any:
    def rule(read: Reader, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
             ceil_mode: bool = False, count_include_pad: bool = True,
             divisor_override: Any = None) -> Flow:  # fmt: skip
        if divisor_override is not None:
            raise NotRead("divides by a number of its own")
        options = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
        return _window(read, kind, input, kernel_size, stride, padding, **options)

    return rule


for _number in (1, 2):
    function(f"max_pool{_number}d")(_max_pool(f"MaxPool{_number}d"))
    function(f"avg_pool{_number}d")(_avg_pool(f"AvgPool{_number}d"))


@layer(nn.MaxPool1d, nn.MaxPool2d)
def _(read: Reader, at: Any, x: Any) -> Flow:
    module = at.module
    rule = _max_pool(type(module).__name__)
    found = (module.kernel_size, module.stride, module.padding, module.dilation)
    return rule(read, x, *found, module.ceil_mode, module.return_indices)


@layer(nn.AvgPool1d, nn.AvgPool2d)
def _(read: Reader, at: Any, x: Any) -> Flow:
    module = at.module
    rule = _avg_pool(type(module).__name__)
    found = (module.kernel_size, module.stride, module.padding, module.ceil_mode, module.count_include_pad)
    return rule(read, x, *found, getattr(module, "divisor_override", None))


def _adaptive(kind: str) -> Any:
    def rule(read: Reader, input: Any, output_size: Any, return_indices: bool = False) -> Flow:
        if return_indices:
            raise NotRead("returns where the largest values were")
        if kind == "AdaptiveAvgPool1d" and _sides(output_size) == 1:
            return read.add(make("Mean", 2, keepdim=True), read.units_on(_batched(flow_of(input)), 0))
        x = read.units_on(_batched(flow_of(input)), 0)
        sizes = read.shape(x).dims[1:]
        wanted = output_size if isinstance(output_size, tuple | list) else (output_size,) * len(sizes)
        return read.add(make(kind, _sides([b if a is None else a for a, b in zip(wanted, sizes, strict=True)])), x)

    return rule


for _kind in ("AdaptiveAvgPool", "AdaptiveMaxPool"):
    for _number in (1, 2):
        _name = f"adaptive_{'avg' if 'Avg' in _kind else 'max'}_pool{_number}d"
        function(_name)(_adaptive(f"{_kind}{_number}d"))


@layer(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
def _(read: Reader, at: Any, x: Any) -> Flow:
    if getattr(at.module, "return_indices", False):
        raise NotRead("returns where the largest values were")
    return _adaptive(type(at.module).__name__)(read, x, at.module.output_size)


# ---------------------------------------------------------------------- images
@function("interpolate", "upsample")
def _interpolate(read: Reader, input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                 align_corners: Any = None, recompute_scale_factor: Any = None,
                 antialias: bool = False) -> Flow:  # fmt: skip
    if recompute_scale_factor or antialias:
        raise NotRead("smooths, or recomputes its scale")
    x = read.units_on(_batched(flow_of(input)), 0)
    return read.add(make("Interpolate", **_scale(size, scale_factor), mode=mode, align_corners=bool(align_corners)), x)


def _scale(size: Any, factor: Any) -> dict[str, Any]:
    return {"size": _sides(size)} if size is not None else {"scale_factor": _sides(factor)}


@layer(nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d)
def _(read: Reader, at: Any, x: Any) -> Flow:
    module = at.module
    return _interpolate(read, x, module.size, module.scale_factor, module.mode, module.align_corners)


@function("pixel_shuffle")
def _pixel_shuffle(read: Reader, input: Any, upscale_factor: int) -> Flow:
    return read.add(make("PixelShuffle", upscale_factor), read.units_on(_batched(flow_of(input)), 0))


@layer(nn.PixelShuffle)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _pixel_shuffle(read, x, at.module.upscale_factor)


@function("pad")
def _pad(read: Reader, input: Any, pad: Any, mode: str = "constant", value: Any = None) -> Flow:
    x = _batched(flow_of(input))
    if mode != "constant" or value or len(pad) != 4 or len(read.shape(x).dims) != 3:
        raise NotRead("pads with something else than zeros, or something else than an image")
    return read.add(make("ZeroPad2d", tuple(pad)), read.units_on(x, 0))


@layer(nn.ZeroPad2d)
def _(read: Reader, at: Any, x: Any) -> Flow:
    return _pad(read, x, at.module.padding)
