"""Whether kedge and pip choose the same versions for popular packages, on the same day.

One command::

    python benchmarks/same_as_pip.py --kedge "$(command -v kedge)" --pip "$(command -v pip)"

Each name of ``popular.txt`` is resolved on its own, by both tools, for the same empty environment,
with whatever settings the user's own pip has; nothing is installed. Differences are printed, and
are the exit code.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

NAMES = Path(__file__).with_name("popular.txt")


@dataclass(frozen=True)
class Answer:
    """What one tool chose, ``name -> version``; or the last line of what it said instead."""

    chosen: Mapping[str, str] | None
    seconds: float
    said: str = ""


@dataclass(frozen=True)
class Comparison:
    """Both answers to one name."""

    name: str
    kedge: Answer
    pip: Answer

    @property
    def same(self) -> bool:
        """Also where both find that there is nothing to choose."""
        return self.kedge.chosen == self.pip.chosen

    def __str__(self) -> str:
        seconds = f"kedge {self.kedge.seconds:.1f} s, pip {self.pip.seconds:.1f} s"
        if self.same:
            what = "neither" if self.kedge.chosen is None else f"{len(self.kedge.chosen)} packages"
            return f"same  {self.name}: {what} ({seconds})"
        lines = [f"DIFF  {self.name} ({seconds})"]
        for tool, answer in (("kedge", self.kedge), ("pip", self.pip)):
            if answer.chosen is None:
                lines.append(f"        {tool} failed: {answer.said}")
        ours, theirs = self.kedge.chosen, self.pip.chosen
        if ours is not None and theirs is not None:
            lines += [
                f"        {project}: kedge {ours.get(project)}, pip {theirs.get(project)}"
                for project in sorted(ours.keys() | theirs.keys())
                if ours.get(project) != theirs.get(project)
            ]
        return "\n".join(lines)


def main() -> int:
    options = _parse()
    names = options.names or NAMES.read_text(encoding="utf-8").split()
    with tempfile.TemporaryDirectory(prefix="kedge-same-") as folder:
        venv.create(Path(folder, "env"), with_pip=False)
        python = str(Path(folder, "env", "bin", "python"))
        found = list(_compare(names, options, python))
    different = [one for one in found if not one.same]
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1))
    seconds = [sum(one.seconds for one in each) for each in _columns(found)]
    print(
        f"\n{len(found) - len(different)} of {len(found)} the same; in all kedge took "
        f"{seconds[0]:.0f} s and pip {seconds[1]:.0f} s."
    )
    return 1 if different else 0


def _columns(found: list[Comparison]) -> tuple[list[Answer], list[Answer]]:
    return [one.kedge for one in found], [one.pip for one in found]


def _compare(
    names: Iterable[str], options: argparse.Namespace, python: str
) -> Iterable[Comparison]:
    with ThreadPoolExecutor(options.parallel) as pool:
        for one in pool.map(lambda name: _one(name, options, python), names):
            print(one, flush=True)
            yield one


def _one(name: str, options: argparse.Namespace, python: str) -> Comparison:
    dry = ["install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-", name]
    kedge = [options.kedge, *dry, "--python", python]
    pip = [options.pip, "--python", python, *dry, "--disable-pip-version-check", "--no-input"]
    return Comparison(name, _ask(kedge, options.timeout), _ask(pip, options.timeout))


def _ask(command: list[str], timeout: float) -> Answer:
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
            errors="replace", timeout=timeout, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Answer(None, time.monotonic() - began, f"no answer in {timeout:.0f} s")
    seconds = time.monotonic() - began
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return Answer(None, seconds, " | ".join(lines[-3:]))
    items = json.loads(done.stdout)["install"]
    chosen = {one["metadata"]["name"].lower(): one["metadata"]["version"] for one in items}
    return Answer(chosen, seconds)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="instead of those in popular.txt")
    parser.add_argument("--kedge", default=shutil.which("kedge") or "kedge", help="the program")
    parser.add_argument("--pip", default=shutil.which("pip") or "pip", help="the program")
    parser.add_argument("--parallel", type=int, default=2, help="names at a time")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one tool and name")
    parser.add_argument("--json", type=Path, help="write every answer into this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
