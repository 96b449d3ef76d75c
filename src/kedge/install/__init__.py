"""Wheels into an environment, and out of it, as transactions.

:func:`kedge.install.unpack.unpack` checks an archive and unpacks it into the cache;
:func:`carry_out` makes an
environment what a :class:`Plan` says, whole or not at all; :func:`recover` puts right what a
killed process left, and is to be called before anything looks at an environment. Nothing here
chooses versions or touches the network. Each name is imported with the first look at it: many
runs change nothing, and a process that unpacks knows no environment.
"""

from typing import TYPE_CHECKING

from kedge.lazy import lazily

if TYPE_CHECKING:
    from kedge.install.plan import (
        Addition,
        Existing,
        InstallReporter,
        LinkMode,
        Observation,
        Plan,
    )
    from kedge.install.state import observe, recover
    from kedge.install.transaction import carry_out

__all__ = [
    "Addition",
    "Existing",
    "InstallReporter",
    "LinkMode",
    "Observation",
    "Plan",
    "carry_out",
    "observe",
    "recover",
]

if not TYPE_CHECKING:  # which knows the names, and which are none
    __getattr__ = lazily(
        __name__,
        {
            "Addition": "plan",
            "Existing": "plan",
            "InstallReporter": "plan",
            "LinkMode": "plan",
            "Observation": "plan",
            "Plan": "plan",
            "carry_out": "transaction",
            "observe": "state",
            "recover": "state",
        },
    )
