"""``kedge uninstall``: asks once, then removes what was named, whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kedge.cli.install import refuse_nowhere
from kedge.cli.narrator import Narrator
from kedge.errors import UsageError
from kedge.pipeline.uninstall import uninstall
from kedge.settings import options as table

if TYPE_CHECKING:
    from kedge.cli.run import Job
    from kedge.environment import InstalledDistribution


def run(job: Job) -> int:
    """Uninstall; 0, as pip, also when some of what was named is not there."""
    refuse_nowhere()

    def confirm(chosen: Sequence[InstalledDistribution]) -> bool:
        if job.settings.value(table.YES):
            return True
        for each in chosen:
            job.console.say(f"Would remove {each} from {each.location}")
        if job.settings.value(table.NO_INPUT):
            raise UsageError("Uninstalling needs an answer.", hint="Use -y to agree beforehand.")
        return _ask(job)

    done = uninstall(
        job.settings, job.choice, job.interpreter, Narrator(job.console), confirm=confirm
    )
    for name in done.missing:
        job.console.warn(f"There is no {name} to remove: it is not installed.")
    if done.declined:
        job.console.say("Nothing was removed.")
    for each in done.removed:
        job.console.say(f"Removed {each}")
    return 0


def _ask(job: Job) -> bool:
    job.console.say("Proceed? [Y/n] ")
    answer = sys.stdin.readline()
    if not answer:
        raise UsageError("Uninstalling needs an answer.", hint="Use -y to agree beforehand.")
    return answer.strip().lower() in ("", "y", "yes")
