"""In which order to install: what is required comes before what requires it.

pip's weights, over the engine's graph, whose root is ``None``: the same request is installed in the
same order by both, except where pip leaves it to chance (inside a cycle).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=str)
Graph = Mapping[str | None, set[str]]

#: How often one name is visited in what is left of a graph with cycles; without a limit the walk
#: over a dense one does not end.
_VISITS = 5


def installation_order(
    names: Iterable[Name], edges: Iterable[tuple[str | None, str]]
) -> list[Name]:
    """The names, most weight first, and of equal weight the last of the alphabet first.

    >>> installation_order(["a", "b", "c"], [(None, "a"), ("a", "b"), ("a", "c")])
    ['c', 'b', 'a']
    """
    graph: dict[str | None, set[str]] = {None: set()}
    for parent, child in edges:
        graph.setdefault(child, set())
        graph.setdefault(parent, set()).add(child)
    weights = _weights(graph)
    return sorted(names, key=lambda name: (weights.get(name, 0), name), reverse=True)


def _weights(graph: dict[str | None, set[str]]) -> dict[str, int]:
    """Leaves weigh most and are taken off, again and again; what is left lies on cycles."""
    weights: dict[str, int] = {}
    while leaves := {name for name, children in graph.items() if name and not children}:
        for leaf in leaves:
            weights[leaf] = len(graph) - 1
        graph = {name: children - leaves for name, children in graph.items() if name not in leaves}
    return weights | _longest_paths(graph)


def _longest_paths(graph: Graph) -> dict[str, int]:
    """For each name the length of the longest path from the root that was found."""
    found: dict[str, list[int]] = {}
    path: dict[str | None, None] = {None: None}
    stack = [iter(sorted(graph.get(None, ())))]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
            left, _ = path.popitem()
            if left is not None:
                found.setdefault(left, []).append(len(path))
        elif child not in path and len(found.get(child, ())) < _VISITS:
            path[child] = None
            stack.append(iter(sorted(graph.get(child, ()))))
    return {name: max(lengths) for name, lengths in found.items()}
