"""How long a diagnosis waits, in this process: what it finds must not hang on how busy it is."""

from __future__ import annotations

from functools import partial

import pytest

from kedge import diagnose
from kedge.diagnose.examine import Surroundings

#: Seconds that only a hang takes.
LONG = 60.0


def waiting(patch: pytest.MonkeyPatch, seconds: float = LONG) -> None:
    """Every command of this process waits so long for a peer that it examines.

    As users have it, it is two seconds for some of it and six for the rest: enough for a peer that
    is on its way, and not for one whose process is not given a processor. What a user asks for
    with ``--timeout`` stays.
    """
    patch.setattr(diagnose, "Surroundings", partial(Surroundings, limit=seconds))
    patch.setattr("kedge.diagnose.route._PATIENCE", seconds)
    patch.setattr("kedge.diagnose.examine._BRIEFLY", seconds)
    patch.setattr("kedge.pipeline.doctor._PATIENCE", seconds)
    patch.setattr("kedge.pipeline.issuers._WAIT", seconds)
    # The bounds of many waits together are in nobody's way.
    patch.setattr("kedge.pipeline.doctor._LIMIT", 9999.0)
    patch.setattr("kedge.pipeline.issuers._WHOLE", 9999.0)
