"""A hash of a graph that depends on structure, ops and weight sharing, and not on names."""

from __future__ import annotations

import hashlib
import warnings

from archgraph.graph.graph import Graph

ROUNDS = 3
"""Weisfeiler-Lehman rounds; depth is carried by the Merkle labels, so few are needed."""


def canonical_hash(graph: Graph) -> str:
    """Return a hexadecimal hash of structure, ops and weight sharing.

    Every node is first labelled by a Merkle hash of all that it is computed from (inputs in order) and of all that is
    computed from it; ``networkx.weisfeiler_lehman_graph_hash`` then hashes the labelled graph, in which weights used
    more than once appear as nodes of their own. Order of commutative inputs counts.

    Args:
        graph: the graph.

    Returns:
        32 hexadecimal digits.
    """
    import networkx

    labels = _merkle(graph)
    structure = networkx.Graph()
    for name, label in labels.items():
        structure.add_node(name, label=label)
    links: dict[tuple[str, str], list[str]] = {}
    for node in graph:
        for position, source in enumerate(node.inputs):
            links.setdefault((source, node.name), []).append(str(position))
    for position, name in enumerate(graph.outputs):
        structure.add_node(f"return {position}", label=f"return {position}")
        links[(name, f"return {position}")] = ["return"]
    for owner, members in graph._ties.items():
        structure.add_node(f"weights of {owner}", label=f"weights {len(members)}")
        for member in members:
            links[(member, f"weights of {owner}")] = ["uses"]
    for (source, user), positions in links.items():
        structure.add_edge(source, user, position=",".join(positions))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # networkx warns that hashes changed in an earlier version
        return networkx.weisfeiler_lehman_graph_hash(
            structure, node_attr="label", edge_attr="position", iterations=ROUNDS, digest_size=16
        )


def _merkle(graph: Graph) -> dict[str, str]:
    below: dict[str, str] = {}
    numbers = {name: position for position, name in enumerate(graph.inputs)}
    for node in graph:
        sharing = len(graph.tied(node.name))
        below[node.name] = _digest(
            repr(node.op), numbers.get(node.name), sharing, *(below[source] for source in node.inputs)
        )
    above: dict[str, str] = {}
    for node in reversed(list(graph)):
        uses = []
        for user in graph.users(node.name):
            positions = [place for place, source in enumerate(graph.node(user).inputs) if source == node.name]
            uses.append(f"{positions}{above[user]}")
        places = [place for place, name in enumerate(graph.outputs) if name == node.name]
        above[node.name] = _digest(below[node.name], places, *sorted(uses))
    return above


def _digest(*parts: object) -> str:
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=12).hexdigest()
