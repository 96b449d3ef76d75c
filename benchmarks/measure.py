"""Running a tool and timing it; the figures, and the table they are printed in."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cases import Case
from tools import Job, Tool


@dataclass(frozen=True)
class Sample:
    """Seconds of wall clock and of processor time, the largest process in MiB; children count."""

    tool: str
    case: str
    wall: float
    cpu: float
    memory: float


class ToolFailedError(Exception):
    """A tool did not install what it was asked to; the text is what it printed."""


def run_case(
    case: Case, tool: Tool, job: Job, folder: Path, environ: Mapping[str, str]
) -> tuple[Sample, dict[str, str]]:
    """One turn, and what was installed afterwards, which must not differ between tools."""
    if case.fresh_cache:
        shutil.rmtree(job.cache, ignore_errors=True)
    if case.fresh_environment:
        _fresh(folder)
    sample = _run(tool, case, job, environ)
    return sample, _installed(folder)


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")


def _installed(folder: Path) -> dict[str, str]:
    # lib64 is another name of lib, where it exists.
    sites = {path.resolve() for path in folder.glob("[Ll]ib*/**/site-packages")}
    found = importlib.metadata.distributions(path=sorted(map(str, sites)))
    return {
        one.metadata["Name"].lower().replace("_", "-").replace(".", "-"): one.version
        for one in found
    }


def _run(tool: Tool, case: Case, job: Job, environ: Mapping[str, str]) -> Sample:
    result = job.cache.parent / "result.json"
    command = [sys.executable, "-ISE", str(Path(__file__).with_name("timed.py")), str(result)]
    with (job.cache.parent / "output").open("w+") as output:
        subprocess.run(
            [*command, *tool.words(job)],
            env=dict(environ),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
        )
        took = json.loads(result.read_text())
        if (took.pop("code") != 0) is not case.refused:
            output.seek(0)
            raise ToolFailedError(f"{tool.name} ({case.name}):\n{output.read()[-3000:]}")
    return Sample(tool.name, case.name, **took)


def table(samples: Iterable[Sample], cases: Sequence[Case], tools: Sequence[Tool]) -> str:
    """For each case and tool: median, spread, how kedge compares, the goal, CPU time, memory."""
    lines = [
        "| case | tool | median s | min-max s | kedge takes | goal | CPU s | MiB |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    found: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.case, sample.tool), []).append(sample)
    for case in cases:
        for tool in tools:
            own = found.get((case.name, tool.name))
            ours = "kedge --compile" if tool.compiles else "kedge"
            if own:
                lines.append(_row(case, tool, own, found.get((case.name, ours))))
    return "\n".join(lines)


def _row(case: Case, tool: Tool, own: Sequence[Sample], ours: Sequence[Sample] | None) -> str:
    walls = [one.wall for one in own]
    ratio = median(one.wall for one in ours) / median(walls) if ours else None
    goals = case.compiled_goals if tool.compiles else case.goals
    goal = next((f"{each.ratio:g}" for each in goals if each.peer == tool.name), "")
    return (
        f"| {case.name} | {tool.name} | {median(walls):.2f} | {min(walls):.2f}-{max(walls):.2f} | "
        f"{'' if ratio is None else f'{ratio:.2f} x'} | {goal} | "
        f"{median(one.cpu for one in own):.2f} | {max(one.memory for one in own):.0f} |"
    )
