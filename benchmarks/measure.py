"""Running a tool and timing it; the figures, and the table they are printed in."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tools import Job, Tool

#: What is timed, in this order, on the same environment and cache.
CASES = ("cold", "warm", "nothing to do")


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


def run_cases(
    tool: Tool, job: Job, folder: Path, environ: Mapping[str, str]
) -> tuple[list[Sample], dict[str, str]]:
    """Cold, warm, and with nothing to do; also what was installed, which must not differ."""
    samples = []
    installed: dict[str, str] = {}
    shutil.rmtree(job.cache, ignore_errors=True)
    for case in CASES:
        if case != "nothing to do":
            _fresh(folder)
        samples.append(_run(tool, case, job, environ))
        found = _installed(folder)
        if installed and found != installed:
            raise ToolFailedError(f"{tool.name} installed something else when {case}.")
        installed = found
    return samples, installed


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


def _run(tool: Tool, case: str, job: Job, environ: Mapping[str, str]) -> Sample:
    with (job.cache.parent / "output").open("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            tool.command(job), env=dict(environ), stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            raise ToolFailedError(f"{tool.name} ({case}):\n{output.read()[-3000:]}")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Sample(tool.name, case, wall, usage.ru_utime + usage.ru_stime, kilobytes / 1024)


def table(samples: Iterable[Sample], tools: Sequence[Tool]) -> str:
    """For each case: median, spread, ratio to the first tool of its kind, CPU time, memory."""
    lines = [
        "| case | tool | median s | min-max s | ratio | CPU s | MiB |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    known = list(samples)
    for compiles, case in ((kind, case) for kind in (False, True) for case in CASES):
        base: float | None = None
        for tool in tools:
            own = [one for one in known if (one.case, one.tool) == (case, tool.name)]
            if not own or tool.compiles is not compiles:
                continue
            walls = [one.wall for one in own]
            middle = median(walls)
            base = base or middle
            lines.append(
                f"| {case} | {tool.name} | {middle:.2f} | {min(walls):.2f}-{max(walls):.2f} | "
                f"{middle / base:.2f} | {median(one.cpu for one in own):.2f} | "
                f"{median(one.memory for one in own):.0f} |"
            )
    return "\n".join(lines)
