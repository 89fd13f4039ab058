"""What a task is usually trained by."""

from __future__ import annotations

from archgraph import Recipe
from archgraph.evaluation.lookup import NODES, usual_recipe
from archgraph.tasks import find


def test_networks_on_one_graph_are_trained_for_more_than_a_few_steps() -> None:
    """An epoch is a step there, and five of them are no training."""
    assert usual_recipe(find("digits")) == Recipe()
    usual = usual_recipe(find("karate"))
    assert usual == NODES
    assert (usual.epochs, usual.keep, usual.decayed) == (200, "best", "first")
