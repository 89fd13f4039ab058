"""Define-by-run: conditions in plain Python, and errors that name the values."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import archgraph as ag
from archgraph import Graph, chain, ops
from archgraph.errors import GraphError, SettingError, SpaceError, UnknownName, Unsatisfied
from archgraph.spaces import Choice, Defined, Float, Int, Ordered, Parameters, space


@space
def mlp(p: Parameters) -> Graph:
    """A multi-layer perceptron."""
    layers: list[ops.Op] = [ops.Input((8,))]
    for number in range(1, p.int("depth", 1, 3) + 1):
        with p.scope(f"layer{number}"):
            layers.append(ops.Linear(p.ordered("width", (4, 8, 16))))
            if p.bool("norm"):
                layers.append(ops.BatchNorm())
            layers.append(p.choice("activation", [ops.ReLU(), ops.SiLU()]))
    return chain(*layers, ops.Linear(3))


def test_it_is_at_the_front_door() -> None:
    assert ag.space is space


def test_parameters_are_found_in_the_order_in_which_they_are_asked_for() -> None:
    assert list(mlp.domains) == [
        "depth",
        *(f"layer{number}.{name}" for number in (1, 2, 3) for name in ("width", "norm", "activation")),
    ]
    assert mlp.domains["depth"] == Int(1, 3)
    assert mlp.domains["layer2.width"] == Ordered((4, 8, 16))
    assert mlp.domains["layer3.activation"] == Choice(("ReLU()", "SiLU()"))
    assert mlp.size == 12 + 12**2 + 12**3


def test_a_point_is_built_as_the_function_says() -> None:
    values = {"depth": 1, "layer1.width": 16, "layer1.norm": True, "layer1.activation": "SiLU()"}
    assert mlp.build(values) == chain(ops.Input((8,)), ops.Linear(16), ops.BatchNorm(), ops.SiLU(), ops.Linear(3))
    assert mlp.canonical(values | {"layer3.norm": False}) == values  # it does not matter at depth 1


def test_every_kind_of_option() -> None:
    def narrow() -> int:
        return 5

    @space
    def options(p: Parameters) -> Graph:
        width = p.choice("width", [narrow, 7])
        wide = p.choice("op", {"conv": ops.Conv2d(4, kernel_size=1), "none": None})
        rate = p.float("rate", 0.1, 0.4)
        between = [] if wide is None else [wide]
        return chain(
            ops.Input((2, 3, 3)),
            *between,
            ops.Dropout(rate),
            ops.GlobalAvgPool(),
            ops.Linear(width() if callable(width) else width),
        )

    assert options.domains == {
        "width": Choice(("narrow", 7)),
        "op": Choice(("conv", "none")),
        "rate": Float(0.1, 0.4),
    }
    graph = options.build({"width": "narrow", "op": "none", "rate": 0.25})
    assert graph == chain(ops.Input((2, 3, 3)), ops.Dropout(0.25), ops.GlobalAvgPool(), ops.Linear(5))
    assert options.size == float("inf")


def test_a_name_asked_for_twice_has_one_value_and_sub_spaces_can_be_used_again() -> None:
    def block(p: Parameters) -> list[ops.Op]:
        return [ops.Linear(p.int("width", 2, 6)), ops.ReLU()]

    @space
    def tied(p: Parameters) -> Graph:
        same = p.within("same")
        blocks = [*block(same), *block(same), *block(p.within("other").within("inner"))]
        return chain(ops.Input((8,)), *blocks)

    assert list(tied.domains) == ["same.width", "other.inner.width"]
    graph = tied.build({"same.width": 3, "other.inner.width": 5})
    assert [graph.units(f"linear{number}") for number in (1, 2, 3)] == [3, 3, 5]


def test_settings_of_a_decorator() -> None:
    @space(name="pair", merge=lambda values: dict(zip(values, sorted(values.values()), strict=True)))  # type: ignore[type-var]
    def build(p: Parameters) -> Graph:
        return chain(ops.Input((2,)), ops.Linear(sum(10**n * p.int(f"p{n}", 1, 3) for n in (0, 1))))

    assert build.name == "pair"
    assert build.canonical({"p0": 3, "p1": 1}) == {"p0": 1, "p1": 3}
    assert build.build({"p0": 3, "p1": 1}).units("linear1") == 31
    assert build.size == 6
    assert repr(build) == f"space({__name__}:pair)"


def test_a_random_space_uses_its_seed() -> None:
    @space(random=True)
    def noisy(p: Parameters) -> Graph:
        return chain(ops.Input((2,)), ops.Linear(p.int("low", 1, 3) * 100 + p.seed % 7))

    assert noisy.random
    assert {noisy.build({"low": 2}, seed).units("linear1") for seed in range(14)} == set(range(200, 207))
    assert noisy.build({"low": 2}, 3) == noisy.build({"low": 2}, 10)
    assert noisy.sample(5) == noisy.build(noisy.draw(5), 5)


def test_a_decorated_space_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(picked)) is picked
    merged = Defined(_narrow, merge=_same, tries=5)
    again = pickle.loads(pickle.dumps(merged))
    assert again.sample(3) == merged.sample(3)


@space
def picked(p: Parameters) -> Graph:
    """Found again by its name."""
    return _narrow(p)


def _narrow(p: Parameters) -> Graph:
    return chain(ops.Input((2,)), ops.Linear(p.int("width", 1, 9)))


def _same(values: dict[str, Any]) -> dict[str, Any]:
    return values


def failing(what: str) -> Defined:
    """Return a space whose second half does not work."""

    @space(name="half")
    def half(p: Parameters) -> Any:
        side = p.choice("side", ("good", "bad"))
        width = p.int("width", 3, 4)
        if side == "good":
            return chain(ops.Input((2,)), ops.Linear(width))
        match what:
            case "raises":
                raise RuntimeError("no such layer")
            case "no graph":
                return "a graph"
            case "invalid":
                return chain(ops.Input((2,)), ops.Conv2d(width, kernel_size=3))
            case "setting":
                return chain(ops.Input((2,)), ops.Linear(-width))
            case "domain":
                return chain(ops.Input((2,)), ops.Linear(p.int("width", 3, 5)))
            case "empty":
                return chain(ops.Input((2,)), ops.Linear(p.int("height", width, 2)))
            case "options":
                return p.choice("more", [object()])
            case "twice":
                return p.choice("more", [ops.ReLU(), ops.ReLU()])
            case "name":
                return p.int("", 1, 2)
            case "seed":
                return p.seed
        raise AssertionError(what)

    return half


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("raises", r"no graph at side='bad', width=[34]: RuntimeError: no such layer"),
        ("no graph", r"returned no graph(.|\n)*'a graph' at side='bad', width=[34]"),
        ("invalid", r"no graph at side='bad', width=[34]: (.|\n)*conv2d1"),
        ("setting", r"no graph at side='bad', width=[34]: (.|\n)*-[34]"),
        ("domain", r"parameter 'width' has two domains(.|\n)*Int\(3, 4\)(.|\n)*Int\(3, 5\) at side='bad', width=[34]"),
        ("empty", r"parameter 'height': Int\([34], 2\) is empty(.|\n)*at side='bad', width=[34]"),
        ("options", "parameter 'more': an option must be a value"),
        ("twice", r"parameter 'more': option 'ReLU\(\)' is there twice"),
        ("name", "a parameter needs a name"),
        ("seed", "this space is not random"),
    ],
)
def test_what_goes_wrong_is_told_with_the_values(what: str, told: str) -> None:
    broken = failing(what)
    with pytest.raises(SpaceError, match=told):
        broken.sample(0)
    with pytest.raises(SpaceError, match=told):
        _ = broken.size


def test_the_place_in_an_invalid_graph_is_shown() -> None:
    with pytest.raises(SpaceError) as caught:
        failing("invalid").sample(0)
    assert "conv2d1 = Conv2d(" in str(caught.value.place)
    assert isinstance(caught.value.__cause__, GraphError)
    assert isinstance(caught.value, SettingError)


def test_invalid_graphs_may_be_left_out() -> None:
    @space(skip_invalid=True)
    def pooled(p: Parameters) -> Graph:
        pools = [ops.MaxPool2d(2)] * p.int("pools", 0, 6)
        return chain(ops.Input((1, 8, 8)), *pools, ops.Flatten(), ops.Linear(3))

    assert pooled.size == 4  # 8, 4, 2 and 1 pixels
    assert {pooled.draw(seed)["pools"] for seed in range(40)} == {0, 1, 2, 3}
    with pytest.raises(Unsatisfied, match=r"the graph is not valid: (.|\n)*pools=5"):
        pooled.build({"pools": 5})


def test_requirements_that_nothing_meets() -> None:
    @space
    def contradictory(p: Parameters) -> Graph:
        p.require(p.int("a", 1, 3) > p.int("b", 3, 5), "a > b")
        return chain(ops.Input((2,)), ops.Linear(1))

    with pytest.raises(SpaceError, match=r"no values in \d+ tries meet the requirements(.|\n)*a > b(.|\n)*a=\d, b=\d"):
        contradictory.draw(0)


def test_a_parameter_that_exploring_missed_is_named() -> None:
    @space(tries=1)
    def hidden(p: Parameters) -> Graph:
        numbers = [p.int(f"n{place}", 0, 99) for place in range(3)]
        if sum(numbers) > 285:
            p.bool("rare")
        return chain(ops.Input((2,)), ops.Linear(1))

    values = {"n0": 99, "n1": 98, "n2": 97}
    assert "rare" not in hidden.domains
    with pytest.raises(SpaceError, match=r"parameter 'rare' was not found(.|\n)*at n0=99, n1=98, n2=97(.|\n)*tries="):
        hidden.build(values)


def test_a_space_needs_a_function() -> None:
    with pytest.raises(SpaceError, match="a space is made of a function"):
        space(3)  # type: ignore[call-overload]


def test_a_space_of_one_point() -> None:
    single = space(lambda p: chain(ops.Input((2,)), ops.Linear(3)), name="single")
    assert (single.size, single.draw(0), single.encode({}).shape) == (1, {}, (0,))
    assert single.decode([]) == single.mutate({}, 0) == {}
    assert list(single.points()) == [{}]


def test_a_failure_says_its_line_and_an_invalid_graph_the_way_out() -> None:
    @space
    def fails(p: Parameters) -> Graph:
        width = p.int("width", 2, 4)
        raise ValueError(f"not {width}")

    with pytest.raises(SpaceError, match=r"(?s)at width=\d: ValueError: not \d.*test_defined.py: raise ValueError"):
        fails.draw(0)

    @space
    def invalid(p: Parameters) -> Graph:
        return chain(ops.Input((1, 8, 8)), ops.Conv2d(4, kernel_size=p.int("kernel", 9, 11)))

    with pytest.raises(SpaceError, match=r"(?s)at kernel=.*skip_invalid=True"):
        invalid.draw(0)


def test_a_usual_point() -> None:
    """What it leaves out is in the middle; one that is none is an error when it is asked for."""

    def build(p: Parameters) -> Graph:
        widths = [p.ordered(f"width{number}", (2, 3, 7)) for number in range(p.int("depth", 1, 3))]
        return chain(ops.Input((5,)), *map(ops.Linear, widths))

    assert space(build).usual is None
    known = space(build, usual={"depth": 2, "width1": 7})
    assert known.usual == {"depth": 2, "width0": 3, "width1": 7}
    with pytest.raises(SpaceError, match="width1"):
        _ = space(build, usual={"width1": 4, "depth": 2}).usual
    with pytest.raises(UnknownName, match="heigth"):
        _ = space(build, usual={"heigth": 4}).usual
