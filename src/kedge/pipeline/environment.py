"""Before any command looks at an environment: what an interrupted change left is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedge.environment import scheme_for
from kedge.install import recover
from kedge.pipeline.reporter import Reporter

if TYPE_CHECKING:
    from kedge.environment import Interpreter


def settle(interpreter: Interpreter, reporter: Reporter) -> None:
    """Undo or complete what a killed process began in the environment's own folders."""
    recover(scheme_for(interpreter), reporter=reporter)
