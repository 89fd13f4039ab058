"""Any graph: three tasks with unlocked and new units, and each network comes back to the bit, or a refusal."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, given, settings

from archgraph import Graph
from archgraph.continual import Homes, Library
from archgraph.errors import GraphError, MoveRefused
from tests.continual.trunks import lesson
from tests.strategies import graphs


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(graphs())
def test_networks_come_back(graph: Graph) -> None:
    assume(len(graph.outputs) == 1)
    library, networks = Library(), []
    for number in range(3):
        homes = library.chapters[0].homes.growable if library.chapters else ()
        unlock = dict.fromkeys(homes, (0,)) if number == 1 else {}
        try:
            network, plan = lesson(library, graph, unlock=unlock, new=dict.fromkeys(homes, number), seed=number)
        except (GraphError, MoveRefused):  # tensors that are no rows of units, or resizing that some op refuses
            assume(False)
        library = library.learned(str(number), network, plan)
        networks.append(network)
    assert [library.network(task) for task in range(3)] == networks
    assert Homes(graph).shared == tuple(library.chapters[2].plan.uses)
