"""How long a diagnosis waits: what it finds must not hang on how busy the machine is.

As users have it, it is two seconds for some of it and six for the rest: enough for a peer that is
on its way, and not for one whose process is not given a processor.
"""

from __future__ import annotations

import sys
from functools import partial

import pytest

from kedge import diagnose
from kedge.diagnose.examine import Surroundings

#: Seconds that only a hang takes.
LONG = 60.0
#: The bounds of one wait each, and those of many together.
_BOUNDS = (
    "kedge.diagnose.route._PATIENCE",
    "kedge.diagnose.examine._BRIEFLY",
    "kedge.pipeline.doctor._PATIENCE",
    "kedge.pipeline.issuers._WAIT",
)
_WHOLE = ("kedge.pipeline.doctor._LIMIT", "kedge.pipeline.issuers._WHOLE")


def waiting(patch: pytest.MonkeyPatch, seconds: float = LONG) -> None:
    """Every command of this process waits so long for a peer that it examines.

    What a user asks for with ``--timeout`` stays; the bounds of many waits are in nobody's way.
    """
    patch.setattr(diagnose, "Surroundings", partial(Surroundings, limit=seconds))
    for name in _BOUNDS:
        patch.setattr(name, seconds)
    for name in _WHOLE:
        patch.setattr(name, 9999.0)


#: ``python -m kedge``, waiting as long.
PROGRAM = (
    sys.executable,
    "-c",
    f"""
from functools import partial
from importlib import import_module
from kedge import diagnose
from kedge.cli.main import leave, program
diagnose.Surroundings = partial(diagnose.Surroundings, limit={LONG})
for name in {(*_BOUNDS, *_WHOLE)}:
    module, _, bound = name.rpartition(".")
    setattr(import_module(module), bound, {LONG})
leave(program(launched_as_module=True))
""",
)
