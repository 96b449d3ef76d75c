"""The order of installation, against pip's own function where there is no chance in it."""

from __future__ import annotations

import random

import pytest

from kedge.resolve.order import installation_order

Edges = list[tuple[str | None, str]]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        pytest.param([(None, "a"), ("a", "b"), ("b", "c")], ["c", "b", "a"], id="chain"),
        pytest.param([(None, "a"), (None, "b")], ["b", "a"], id="equals, last letter first"),
        pytest.param(
            [(None, "a"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")],
            ["d", "c", "b", "a"],
            id="diamond",
        ),
        pytest.param(
            [(None, "a"), ("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")],
            ["d", "c", "b", "a"],
            id="a cycle above a leaf",
        ),
    ],
)
def test_dependencies_come_first(edges: Edges, expected: list[str]) -> None:
    assert installation_order({child for _, child in edges}, edges) == expected


def test_nodes_for_extras_order_without_being_listed() -> None:
    edges: Edges = [(None, "app[x]"), ("app[x]", "app"), ("app[x]", "dep")]
    assert installation_order(["app", "dep"], edges) == ["dep", "app"]


@pytest.mark.parametrize("seed", range(20))
def test_like_pip(seed: int) -> None:
    resolver = pytest.importorskip("pip._internal.resolution.resolvelib.resolver")
    structs = pytest.importorskip("pip._vendor.resolvelib.structs")
    rng = random.Random(seed)
    names = [chr(ord("a") + number) for number in range(12)]
    edges: Edges = [(None, names[0])]
    for place, name in enumerate(names[1:], start=1):
        edges += [(rng.choice(names[:place]), name) for _ in range(rng.randint(1, 3))]
    graph = structs.DirectedGraph()
    for node in (None, *names):
        graph.add(node)
    for parent, child in edges:
        graph.connect(parent, child)
    weights = resolver.get_topological_weights(graph, set(names))
    expected = sorted(names, key=lambda name: (weights[name], name), reverse=True)
    assert installation_order(names, edges) == expected


def test_a_dense_graph_full_of_cycles_comes_to_an_end() -> None:
    names = [f"n{number}" for number in range(60)]
    edges: Edges = [(None, "n0"), *((a, b) for a in names for b in names if a != b)]
    assert sorted(installation_order(names, edges)) == sorted(names)
