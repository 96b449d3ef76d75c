"""kedge: a pip-style installer that knows which certificates it trusts, and why.

The library is layered; ``docs/explanation/architecture.md`` draws it. For other tools, the two
public entry points are :mod:`kedge.trust` (from settings to a decision and an ``SSLContext``)
and :mod:`kedge.transport` (from a decision to a session that trusts exactly what was decided).
"""

__version__ = "0.1.0"
