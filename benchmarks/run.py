"""kedge, the newest pip and the newest uv side by side, on a local index of real wheels.

One command::

    python benchmarks/run.py --kedge "$(command -v kedge)" --cache ~/.cache/kedge-benchmark

The wheels (some 350 MB) and the peers are fetched once, from the index that your own pip uses, into
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

from local_index import LocalIndex, fetch_wheels, serve
from measure import Sample, ToolFailedError, run_cases, table
from tools import Job, Tool, clean_environment, peers, tools

PINS = Path(__file__).with_name("pins.txt")
REQUESTS = (
    "jupyterlab", "boto3", "fastapi[standard]", "pandas", "scikit-learn", "django", "sphinx",
    "matplotlib", "sqlalchemy", "flask",
)  # fmt: skip


def main() -> int:
    options = _parse()
    wheels = fetch_wheels(options.cache, options.pins)
    known = tools(peers(options.cache, update=options.update), options.kedge)
    chosen = [tool for tool in known if not options.tools or tool.name in options.tools]
    with (
        tempfile.TemporaryDirectory(prefix="kedge-benchmark-", dir=options.work) as folder,
        serve(wheels, Path(folder)) as index,
    ):
        _say_what(index, chosen, options.rounds)
        try:
            samples, sets = _measure(index, chosen, options, Path(folder))
        except ToolFailedError as error:
            print(error, file=sys.stderr)
            return 1
    print(table(samples, chosen))
    if options.json:
        options.json.write_text(json.dumps([asdict(sample) for sample in samples], indent=1))
    return _compare(sets)


def _measure(
    index: LocalIndex, chosen: list[Tool], options: argparse.Namespace, folder: Path
) -> tuple[list[Sample], dict[str, dict[str, str]]]:
    """Each round every tool has its turn, beginning with another one."""
    samples: list[Sample] = []
    sets: dict[str, dict[str, str]] = {}
    environ = clean_environment(folder / "home")
    for number in range(options.rounds):
        shift = number % len(chosen)
        for tool in [*chosen[shift:], *chosen[:shift]]:
            target = folder / "target"
            job = Job(
                python=target / ("Scripts" if os.name == "nt" else "bin") / "python",
                index=index.url,
                ca=index.ca,
                cache=folder / "cache",
                requests=tuple(options.requests or REQUESTS),
            )
            found, sets[tool.name] = run_cases(tool, job, target, environ)
            samples += found
            walls = ", ".join(f"{one.case} {one.wall:.2f} s" for one in found)
            print(f"round {number + 1}, {tool.name}: {walls}", file=sys.stderr)
    shutil.rmtree(folder / "target", ignore_errors=True)
    return samples, sets


def _say_what(index: LocalIndex, chosen: list[Tool], rounds: int) -> None:
    print(
        f"{index.wheels} wheels ({index.size / 1e6:.0f} MB), {rounds} rounds, "
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} processors; "
        + ", ".join(dict.fromkeys(tool.version for tool in chosen))
        + "\n"
    )


def _compare(sets: dict[str, dict[str, str]]) -> int:
    """0 when every tool installed the same, else the differences and 1."""
    (first, expected), *others = sets.items()
    wrong = 0
    for name, found in others:
        for project in sorted(expected.keys() | found.keys()):
            if expected.get(project) != found.get(project):
                wrong = 1
                print(
                    f"{project}: {first} installed {expected.get(project)}, "
                    f"{name} {found.get(project)}"
                )
    if not wrong:
        print(f"\nAll installed the same {len(expected)} distributions.")
    return wrong


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "requests", nargs="*", help="instead of the usual ones; must be in the pins"
    )
    parser.add_argument("--kedge", default=shutil.which("kedge") or "kedge", help="the program")
    parser.add_argument("--cache", type=Path, required=True, help="where wheels and peers are kept")
    parser.add_argument("--pins", type=Path, default=PINS, help="another list of wheels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tools", action="append", help="only this one (repeatable)")
    parser.add_argument("--update", action="store_true", help="fetch the newest pip and uv again")
    parser.add_argument("--work", help="the folder for environments and the tools' caches")
    parser.add_argument("--json", type=Path, help="write every sample into this file")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
