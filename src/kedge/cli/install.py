"""``kedge install``: the words round :func:`kedge.pipeline.install.install`.

stdout gets what a program may read: the chosen set of a dry run, one ``name==version`` a line,
and the report of ``--report -``. Everything else is narration, and goes to stderr.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.cli.narrator import Narrator
from kedge.errors import UsageError
from kedge.pipeline.install import Outcome, install
from kedge.settings import options as table

if TYPE_CHECKING:
    from kedge.cli.run import Job
    from kedge.install import Plan


def run(job: Job) -> int:
    """Install; 0 when the environment is as asked, conflicts of others included (as pip)."""
    settings, console = job.settings, job.console
    refuse_nowhere()
    narrator = Narrator(console, progress=settings.value(table.PROGRESS_BAR))
    report_to = settings.value(table.REPORT)
    if report_to is not None:
        # Before the change: it may be kedge itself that is replaced.
        import kedge.pipeline.report  # noqa: F401

        if report_to != "-":
            refuse_unwritable(Path(report_to))
    try:
        outcome = install(settings, job.choice, job.interpreter, narrator)
    finally:
        narrator.close()
    if report_to is not None:
        _write_report(job, outcome, report_to)
    chosen = outcome.resolution.to_install
    if settings.value(table.DRY_RUN):
        console.say("Nothing was changed. Would install:" if chosen else "Nothing to install.")
        if report_to != "-":
            for pin in sorted(chosen, key=lambda pin: pin.name):
                console.result(f"{pin.name}=={pin.version}")
    elif outcome.plan is None:
        console.say("Nothing to install.")
    else:
        pins = ", ".join(
            f"{pin.name} {pin.version}" for pin in sorted(chosen, key=lambda p: p.name)
        )
        console.say(f"  {pins}")
        _warn_of_scripts(job, outcome.plan)
    for conflict in outcome.conflicts:
        console.warn(str(conflict))
    if outcome.plan is not None:
        _warn_of_root(job)
    return 0


def refuse_nowhere() -> None:
    """Raise a ``UsageError`` where the current folder is gone: relative paths begin there."""
    try:
        Path.cwd()
    except OSError as exc:
        raise UsageError(
            "The current folder does not exist any more.", hint="Change to another one first."
        ) from exc


def refuse_unwritable(path: Path) -> None:
    """Raise a ``UsageError`` for a report with no folder to be in, before any work is done."""
    if not path.absolute().parent.is_dir():
        raise UsageError(f"The report cannot be written: there is no folder {path.parent}.")


def _write_report(job: Job, outcome: Outcome, place: str) -> None:
    from kedge.pipeline.report import report

    text = json.dumps(report(outcome), indent=2, ensure_ascii=False)
    if place == "-":
        job.console.result(text)
    else:
        Path(place).write_text(text + "\n", encoding="utf-8")


def _warn_of_scripts(job: Job, plan: Plan) -> None:
    """As pip: programs that the shell will not find are worth a word."""
    if not job.settings.value(table.WARN_SCRIPT_LOCATION) or job.settings.value(table.TARGET):
        return
    folder = os.path.normcase(plan.scheme.scripts)
    path = [os.path.normcase(each) for each in job.environ.get("PATH", "").split(os.pathsep)]
    active = job.interpreter.is_venv and Path(folder) == job.interpreter.scripts
    if folder in path or active:
        return
    makers = sorted(
        addition.name
        for addition in plan.additions
        if (addition.wheel.dist_info / "entry_points.txt").is_file()
    )
    if makers:
        job.console.warn(
            f"The programs of {', '.join(makers)} are in {plan.scheme.scripts}, which is not on "
            "PATH (--no-warn-script-location hides this)."
        )


def _warn_of_root(job: Job) -> None:
    elsewhere = (table.TARGET, table.PREFIX, table.ROOT)
    if (
        job.settings.value(table.ROOT_USER_ACTION) == "warn"
        and not job.interpreter.is_venv
        and "CONDA_PREFIX" not in job.environ
        and not any(job.settings.value(option) for option in elsewhere)
        and getattr(os, "geteuid", lambda: -1)() == 0
    ):
        job.console.warn(
            "Running as root outside a virtual environment can break what the system's own "
            "package manager installed (--root-user-action ignore hides this)."
        )
