"""Which versions: from what was asked for and what exists to the set that pip would install.

:func:`resolve` is the whole of it, from a :class:`Problem` and a :class:`Source` to a
:class:`Resolution`. resolvelib searches; the rules are in the modules below.
"""

from kedge.resolve.hashing import hashes_by_user
from kedge.resolve.problem import (
    Direct,
    FormatControl,
    Problem,
    ReleaseControl,
    Source,
    UpgradeStrategy,
)
from kedge.resolve.report import Foresight, ResolveReporter
from kedge.resolve.resolution import Pin, Resolution
from kedge.resolve.resolver import MAX_ROUNDS, resolve, search

__all__ = [
    "MAX_ROUNDS",
    "Direct",
    "Foresight",
    "FormatControl",
    "Pin",
    "Problem",
    "ReleaseControl",
    "Resolution",
    "ResolveReporter",
    "Source",
    "UpgradeStrategy",
    "hashes_by_user",
    "resolve",
    "search",
]
