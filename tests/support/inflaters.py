"""The ways to inflate that there are on this machine: what they make of data must not differ."""

from __future__ import annotations

from kedge.inflate import PLAIN, Inflater, fast

_FAST = fast()

#: By name; zlib-ng only where it is installed.
INFLATERS: dict[str, Inflater] = {"zlib": PLAIN} | ({"zlib-ng": _FAST} if _FAST else {})
