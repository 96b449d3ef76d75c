"""Which versions: from what was asked for and what exists to the set that pip would install.

:func:`resolve` is the whole of it, from a :class:`Problem` and a :class:`Source` to a
:class:`Resolution`. resolvelib searches; the rules are in the modules below. The search and all
that it is made of are imported with the first look at them: an answer that was kept needs none.
"""

from typing import TYPE_CHECKING

from kedge.lazy import lazily
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

if TYPE_CHECKING:
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

if not TYPE_CHECKING:  # which knows the names, and which are none
    __getattr__ = lazily(__name__, dict.fromkeys(("MAX_ROUNDS", "resolve", "search"), "resolver"))
