"""Reports: tables for the terminal, drawings of graphs, plots of growth."""

from archgraph.report.plot import growth_plot
from archgraph.report.svg import graph_svg
from archgraph.report.table import graph_table, stage_table

__all__ = ["graph_svg", "graph_table", "growth_plot", "stage_table"]
