"""kedge, the newest pip and the newest uv side by side, on a local index of real wheels.

One command::

    python benchmarks/run.py --kedge "$(command -v kedge)" --cache ~/.cache/kedge-benchmark

The wheels (some 200 MB) and the peers are fetched once, from the index that your own pip uses, into
the cache folder. Everything else happens in a temporary folder and on loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from cases import CASES, Case
from local_index import LocalIndex, fetch_wheels, serve
from made import make_wheels
from measure import Sample, ToolFailedError, run_case, table
from plot import plot
from tools import Job, Tool, clean_environment, peers, tools

PINS = Path(__file__).with_name("pins.txt")


def main() -> int:
    options = _parse()
    wheels = [*fetch_wheels(options.cache, options.pins), *make_wheels(options.cache / "made")]
    known = tools(peers(options.cache, update=options.update), options.kedge)
    chosen = [tool for tool in known if not options.tools or tool.name in options.tools]
    cases = [one for one in CASES if not options.cases or _named(one, options.cases)]
    with (
        tempfile.TemporaryDirectory(prefix="kedge-benchmark-", dir=options.work) as folder,
        serve(wheels, Path(folder)) as index,
    ):
        _say_what(index, chosen, options.rounds)
        try:
            samples, sets = _measure(index, cases, chosen, options, Path(folder))
        except ToolFailedError as error:
            print(error, file=sys.stderr)
            return 1
    print(table(samples, cases, known))
    if options.json:
        options.json.write_text(json.dumps([asdict(sample) for sample in samples], indent=1))
    if options.plot:
        options.plot.write_text(plot(samples, cases, known), encoding="utf-8")
    return _compare(sets)


def _named(case: Case, words: list[str]) -> bool:
    return any(word in case.name for word in words)


#: What each tool had installed after each case.
Sets = dict[str, dict[str, dict[str, str]]]


def _measure(
    index: LocalIndex,
    cases: list[Case],
    chosen: list[Tool],
    options: argparse.Namespace,
    folder: Path,
) -> tuple[list[Sample], Sets]:
    """Each round every tool has its turn, beginning with another one, and runs every case."""
    samples: list[Sample] = []
    sets: Sets = {}
    environ = clean_environment(folder / "home")
    for number in range(options.rounds):
        shift = number % len(chosen)
        for tool in [*chosen[shift:], *chosen[:shift]]:
            walls = []
            for case in cases:
                if _skips(tool, case):
                    continue
                job = _job(index, case, folder)
                sample, found = run_case(case, tool, job, folder / "target", environ)
                samples.append(sample)
                walls.append(f"{case.name} {sample.wall:.2f} s")
                if job.requests and not case.dry_run:
                    sets.setdefault(case.name, {})[tool.name] = found
            print(f"round {number + 1}, {tool.name}: {', '.join(walls)}", file=sys.stderr)
    return samples, sets


def _skips(tool: Tool, case: Case) -> bool:
    if tool.command is None:
        return bool(case.requests)
    return tool.compiles and not case.compiling


def _job(index: LocalIndex, case: Case, folder: Path) -> Job:
    binaries = "Scripts" if os.name == "nt" else "bin"
    return Job(
        python=folder / "target" / binaries / "python",
        index=index.slow_url if case.slow else index.url,
        ca=index.other_ca if case.refused else index.ca,
        # The pages of the slow link have addresses of their own, and so has its cache.
        cache=folder / ("slow-cache" if case.slow else "cache"),
        requests=case.requests,
        dry_run=case.dry_run,
    )


def _say_what(index: LocalIndex, chosen: list[Tool], rounds: int) -> None:
    print(
        f"{index.wheels} wheels ({index.size / 1e6:.0f} MB), pages of {index.files} files, "
        f"{rounds} rounds, "
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} processors; "
        + ", ".join(dict.fromkeys(tool.version for tool in chosen))
        + "\n"
    )


def _compare(sets: Sets) -> int:
    """0 when every tool installed the same in every case, else the differences and 1."""
    wrong = 0
    for case, by_tool in sets.items():
        (first, expected), *others = by_tool.items()
        for name, found in others:
            for project in sorted(expected.keys() | found.keys()):
                if expected.get(project) != found.get(project):
                    wrong = 1
                    print(
                        f"{case}, {project}: {first} installed {expected.get(project)}, "
                        f"{name} {found.get(project)}"
                    )
        if not wrong:
            print(f"{case}: all installed the same {len(expected)} distributions.")
    return wrong


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kedge", default=shutil.which("kedge") or "kedge", help="the program")
    parser.add_argument("--cache", type=Path, required=True, help="where wheels and peers are kept")
    parser.add_argument("--pins", type=Path, default=PINS, help="another list of wheels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--cases", action="append", help="only those with this in their name (repeatable)"
    )
    parser.add_argument("--tools", action="append", help="only this one (repeatable)")
    parser.add_argument("--update", action="store_true", help="fetch the newest pip and uv again")
    parser.add_argument(
        "--work",
        default="/dev/shm" if Path("/dev/shm").is_dir() else None,
        help="the folder for environments and the tools' caches, best on a tmpfs (default: "
        "/dev/shm where there is one)",
    )
    parser.add_argument("--plot", type=Path, help="draw the medians into this SVG file")
    parser.add_argument("--json", type=Path, help="write every sample into this file")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
