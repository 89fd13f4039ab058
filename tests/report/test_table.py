"""Tables: what stands in their cells."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from archgraph import ops  # noqa: F401  so that the texts find their ops
from archgraph.graph import Graph
from archgraph.report import diff_table, graph_diff, graph_table, stage_table

GRAPH = Graph.parse("""
x = Input((3, 8, 8))
a = Conv2d(6, kernel_size=3, padding=1)(x)
n = BatchNorm()(a)
b = Conv2d(6, kernel_size=3, padding=1)(n)
s = Add()(a, b)
c = Conv2d(5, kernel_size=1)(s)
k = Concat()(s, c)
f = GlobalAvgPool()(k)
l = Linear(11)(f)
m = Linear(11)(l)
t = Linear(11)(m) @ m
return t
""")


def rows(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True))


def printed(table: Table, width: int = 200) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table)
    console.file.close()
    return console.export_text()


def test_a_graph_node_by_node() -> None:
    found = rows(graph_table(GRAPH))
    assert found[1] == ("a", "Conv2d(6, kernel_size=3, padding=1)", "x", "6x8x8", "168", "10,368", "absorb", "B")
    assert found[2] == ("n", "BatchNorm()", "a", "6x8x8", "12", "–", "invariant", "B")
    assert [row[-1] for row in found] == ["(A)", "B", "B", "B", "B", "C", "B C", "B C", "(D)", "(D)", "(D)"]
    assert found[-1][1] == "Linear(11) @ m" and found[-1][4:6] == ("–", "121")


def test_the_totals_stand_below() -> None:
    table = graph_table(GRAPH)
    params = sum(int(cell.replace(",", "")) for cell in (row[4] for row in rows(table)) if cell != "–")
    cost = sum(int(cell.replace(",", "")) for cell in (row[5] for row in rows(table)) if cell != "–")
    assert [str(column.footer) for column in table.columns][4:6] == [f"{params:,}", f"{cost:,}"]
    assert "11 nodes" in printed(table) and "may not be resized" in printed(table)


def test_groups_of_a_long_graph_have_letters_beyond_z() -> None:
    lines = [
        "x = Input((2,))",
        "n0 = Linear(3)(x)",
        *(f"n{i} = Linear(3)(n{i - 1})" for i in range(1, 30)),
        "return n29",
    ]
    found = [row[-1] for row in rows(graph_table(Graph.parse("\n".join(lines) + "\n")))]
    assert found[:3] == ["(A)", "B", "C"] and found[26:28] == ["AA", "AB"] and found[-1] == "(AE)"


def test_numbers_of_a_column_are_written_alike() -> None:
    table = stage_table(
        [
            {"stage": 0, "params": 1234, "accuracy": 0.9, "loss": 2.5, "gain": None, "kept": True, "move": "a[b]"},
            {
                "stage": 1,
                "params": 22345,
                "accuracy": 0.91239,
                "loss": 0.0412,
                "gain": 1.2e-5,
                "kept": False,
                "seed": 7,
            },
        ],
        title="growth",
    )
    assert [str(column.header) for column in table.columns] == [
        "stage", "params", "accuracy", "loss", "gain", "kept", "move", "seed",
    ]  # fmt: skip
    assert rows(table) == [
        ("0", "1,234", "0.9000", "2.500", "–", "yes", "a[b]", "–"),
        ("1", "22,345", "0.9124", "0.041", "1.2e-05", "no", "–", "7"),
    ]
    assert [column.justify for column in table.columns[:6]] == ["right"] * 5 + ["left"]
    assert "a[b]" in printed(table) and "growth" in printed(table)


def test_odd_numbers_and_no_rows() -> None:
    found = rows(stage_table([{"v": float("nan")}, {"v": float("-inf")}, {"v": 0.0}, {"v": 123456.7}, {"v": -2.0}]))
    assert [row[0] for row in found] == ["nan", "-inf", "0", "123,457", "-2"]
    assert rows(stage_table([{"v": 0.0}])) == [("0.0",)]
    assert rows(stage_table([])) == []


WIDER = Graph.parse("""
x = Input((3, 8, 8))
a = Conv2d(7, kernel_size=3, padding=1)(x)
n = BatchNorm()(a)
b = Conv2d(7, kernel_size=3, padding=1)(n)
s = Add()(a, b)
c = Conv2d(5, kernel_size=1)(s)
k = Concat()(s, c)
r = ReLU()(k)
f = GlobalAvgPool()(r)
l = Linear(11)(f)
t = Linear(11)(l)
return t
""")


def test_what_a_rewrite_changed() -> None:
    table = diff_table(graph_diff(GRAPH, WIDER))
    assert rows(table) == [
        ("~", "a", "Conv2d(6 → 7, kernel_size=3, padding=1)", "x", "6x8x8 → 7x8x8", "168 → 196", "10,368 → 12,096"),
        ("~", "n", "BatchNorm()", "a", "6x8x8 → 7x8x8", "12 → 14", "–"),
        ("~", "b", "Conv2d(6 → 7, kernel_size=3, padding=1)", "n", "6x8x8 → 7x8x8", "330 → 448", "20,736 → 28,224"),
        ("~", "s", "Add()", "a, b", "6x8x8 → 7x8x8", "–", "–"),
        ("~", "c", "Conv2d(5, kernel_size=1)", "s", "5x8x8", "35 → 40", "1,920 → 2,240"),
        ("~", "k", "Concat()", "s, c", "11x8x8 → 12x8x8", "–", "–"),
        ("+", "r", "ReLU()", "k", "12x8x8", "–", "–"),
        ("~", "f", "GlobalAvgPool()", "k → r", "11 → 12", "–", "–"),
        ("~", "l", "Linear(11)", "f", "11", "132 → 143", "121 → 132"),
        ("~", "t", "Linear(11) @ m → own weights", "m → l", "11", "0 → 132", "121"),
        ("-", "m", "Linear(11)", "l", "11", "132", "121"),
    ]
    assert [str(column.footer) for column in table.columns][1::4] == ["11 nodes", "809 → 973"]
    assert "33,387 → 42,813" in printed(table)


def test_graphs_that_are_the_same_have_no_rows() -> None:
    table = diff_table(graph_diff(GRAPH, GRAPH))
    assert rows(table) == [] and "the graphs are the same" in printed(table)
