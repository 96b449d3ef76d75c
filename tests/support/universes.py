"""Small random worlds of packages, and what pip makes of them: the yardstick for the resolver.

A :class:`World` is an index in a folder (PEP 503 pages, tiny wheels), what is installed, and one
request. Everything follows from its seed. :func:`ask_pip` puts many worlds to one pip process,
:func:`problem_of` is the request for kedge's resolver.
"""

from __future__ import annotations

import html
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.specifiers import SpecifierSet

from kedge.environment import current, installed
from kedge.model import Origin, OriginKind
from kedge.requirements import Requested, parse_argument, parse_file
from kedge.resolve import FormatControl, Problem, ReleaseControl, UpgradeStrategy
from support.wheels import Artifact, sdist, wheel

_NAMES = ["Alpha", "b.ravo", "char-lie", "delta", "echo", "fox_trot", "golf", "hotel", "india"]
_VERSIONS = [
    "0.9", "1.0", "1.0.post1", "1.1", "1.2a1", "1.2", "2.0.dev1", "2.0b2", "2.0rc1", "2.0", "2.1",
    "3.0a1", "3.0", "1!0.1",
]  # fmt: skip
_LIMITS = [
    "", "", "", "", ">=1.0", ">=1.1", ">1.0", "<2", "<2.0", "<=1.2", "==1.0", "==1.1", "==2.0",
    "!=2.0", "!=3.0,!=2.1", "~=1.0", "~=2.0", ">=1,<2", "==1.*", "==2.*", ">=2.0b1", ">=3.0a1",
    "===1.1", "<1.2", ">=2", ">5",
]  # fmt: skip
_EXTRAS = ["more", "Other_One"]
_MARKERS = ["", "", "", "", "", "python_version >= '3.8'", "sys_platform == 'nowhere'"]
_FOREIGN_TAG = "cp26-cp26m-win32"
_FAR = ">=3.99"


@dataclass
class World:
    """``arguments`` are a ``pip install`` command line without the index and without options that
    only report. ``installed`` is a folder for ``sys.path``, ``index`` one for ``--index-url``.
    """

    seed: int
    folder: Path
    arguments: list[str] = field(default_factory=list)

    @property
    def index(self) -> Path:
        return self.folder / "simple"

    @property
    def installed(self) -> Path:
        return self.folder / "installed"


def make_world(seed: int, folder: Path) -> World:
    """The world of that seed, written into ``folder``."""
    rng = random.Random(seed)
    world = World(seed, folder)
    names = rng.sample(_NAMES, rng.randint(3, 8))
    versions = {name: rng.sample(_VERSIONS, rng.randint(1, 8)) for name in names}
    files = {
        name: [
            artifact
            for version in versions[name]
            for artifact in _release(rng, name, version, versions)
        ]
        for name in names
    }
    for name, artifacts in files.items():
        _write_page(rng, world, name, artifacts)
    _write_installed(rng, world, files)
    world.arguments = _request(rng, world, files, versions)
    return world


def _release(
    rng: random.Random, name: str, version: str, versions: Mapping[str, Sequence[str]]
) -> list[Artifact]:
    others = [other for other in versions if other != name]
    requires = [
        _requirement(rng, other, versions)
        for other in rng.sample(others, min(len(others), rng.choice([0, 1, 1, 2, 3])))
    ]
    extras: dict[str, Sequence[str]] = {
        extra: [_requirement(rng, other, versions) for other in rng.sample(others, 1)]
        for extra in _EXTRAS
        if rng.random() < 0.5
    }
    python = rng.choice([None, None, ">=3.6", ">=3.6", _FAR]) if rng.random() < 0.4 else None
    shape = rng.random()
    tagged: list[tuple[str, str | None]]
    if shape < 0.1:
        tagged = [("py3-none-any", "1"), ("py3-none-any", "2"), ("py2.py3-none-any", None)]
    elif shape < 0.2:
        tagged = [(_FOREIGN_TAG, None)]
        if rng.random() < 0.6:
            tagged.append(("py3-none-any", None))
    else:
        tagged = [("py3-none-any", None)]
    built = [
        wheel(
            name,
            version,
            requires=requires,
            extras=extras,
            requires_python=python,
            tag=tag,
            build=build,
            package=False,
        )
        for tag, build in tagged
    ]
    if rng.random() < 0.15:
        built.append(sdist(name, version, requires=requires, requires_python=python))
        if rng.random() < 0.3:
            return built[-1:]
    return built


def _requirement(rng: random.Random, name: str, versions: Mapping[str, Sequence[str]]) -> str:
    """A requirement that mostly can be met by itself, so that the interest is in the others."""
    extras = f"[{rng.choice(_EXTRAS)}]" if rng.random() < 0.15 else ""
    marker = rng.choice(_MARKERS)
    limit = rng.choice(_LIMITS)
    while rng.random() < 0.95 and not any(map(SpecifierSet(limit).contains, versions[name])):
        limit = rng.choice(_LIMITS)
    return f"{name}{extras}{limit}" + (f" ; {marker}" if marker else "")


def _write_page(rng: random.Random, world: World, name: str, artifacts: Sequence[Artifact]) -> None:
    project = name.lower().replace("_", "-").replace(".", "-")
    folder = world.index / project
    yanked = {artifact.version for artifact in artifacts if rng.random() < 0.12}
    stated = {artifact.version for artifact in artifacts if rng.random() < 0.5}
    links = []
    for artifact in artifacts:
        artifact.write(folder)
        attributes = f' data-yanked="why {artifact.version}"' if artifact.version in yanked else ""
        if artifact.version in stated and artifact.requires_python:
            attributes += f' data-requires-python="{html.escape(artifact.requires_python)}"'
        link = f"{artifact.filename}#sha256={artifact.sha256}"
        links.append(f'<a href="{link}"{attributes}>{artifact.filename}</a><br>')
    rng.shuffle(links)
    page = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>"
    (folder / "index.html").write_text(page)


def _write_installed(rng: random.Random, world: World, files: dict[str, list[Artifact]]) -> None:
    world.installed.mkdir(parents=True)
    if rng.random() < 0.5:
        return
    for name, artifacts in files.items():
        if rng.random() < 0.5:
            artifact = rng.choice(artifacts)
            folder = world.installed / f"{name.replace('-', '_')}-{artifact.version}.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_bytes(artifact.metadata)
            (folder / "RECORD").write_text("")


def _request(
    rng: random.Random,
    world: World,
    files: Mapping[str, Sequence[Artifact]],
    versions: Mapping[str, Sequence[str]],
) -> list[str]:
    asked: list[str] = []
    for name in rng.sample(list(files), rng.randint(1, 3)):
        wheels = [a for a in files[name] if a.filename.endswith("py3-none-any.whl")]
        if wheels and rng.random() < 0.08:
            path = world.index / name.lower().replace("_", "-").replace(".", "-")
            asked.append(f"{name} @ {(path / rng.choice(wheels).filename).as_uri()}")
        else:
            asked.append(_requirement(rng, name, versions))
    arguments = ["--only-binary", ":all:"] if rng.random() < 0.8 else ["--prefer-binary"]
    for flags, chance in _FLAGS:
        if rng.random() < chance:
            arguments += flags
    if rng.random() < 0.12:
        arguments += ["--pre"]  # which excludes the other two
    else:
        for flag in ("--all-releases", "--only-final"):
            if rng.random() < 0.08:
                arguments += [flag, rng.choice([":all:", *files])]
    if rng.random() < 0.25:
        constraints = world.folder / "constraints.txt"
        limits = [
            _requirement(rng, name, versions).replace("[more]", "").replace("[Other_One]", "")
            for name in rng.sample(list(files), 2)
        ]
        constraints.write_text("".join(f"{line}\n" for line in limits))
        arguments += ["-c", str(constraints)]
    return [*arguments, *asked]


_FLAGS = [
    (["--upgrade"], 0.3),
    (["--upgrade-strategy", "eager"], 0.15),
    (["--force-reinstall"], 0.08),
    (["--ignore-installed"], 0.08),
    (["--no-deps"], 0.05),
    (["--ignore-requires-python"], 0.08),
]


def problem_of(world: World) -> Problem:
    """The request as kedge's resolver is asked it."""
    python = current()
    words = iter(world.arguments)
    origin = Origin(OriginKind.COMMAND_LINE)
    requested: list[Requested] = []
    constraints: list[Requested] = []
    formats, releases = FormatControl(), ReleaseControl()
    upgrade, strategy = False, UpgradeStrategy.ONLY_IF_NEEDED
    flags = set()
    for word in words:
        match word:
            case "--only-binary":
                formats = formats.only_binary(next(words))
            case "--all-releases":
                releases = releases.all_releases(next(words))
            case "--only-final":
                releases = releases.only_final(next(words))
            case "--pre":
                releases = releases.all_releases(":all:")
            case "--upgrade":
                upgrade = True
            case "--upgrade-strategy":
                strategy = UpgradeStrategy(next(words))
            case "-c":
                parsed = parse_file(next(words), None, environ={}, origin=origin, constraint=True)
                constraints += parsed.constraints
            case _ if word.startswith("--"):
                flags.add(word)
            case _:
                requested.append(parse_argument(word, origin))
    return Problem(
        requested=tuple(requested),
        constraints=tuple(constraints),
        installed=installed([world.installed]),
        markers=python.markers,
        tags=python.tags,
        python_version=".".join(map(str, python.version)),
        upgrade=strategy if upgrade else UpgradeStrategy.NONE,
        formats=formats,
        releases=releases,
        prefer_binary="--prefer-binary" in flags,
        ignore_requires_python="--ignore-requires-python" in flags,
        no_deps="--no-deps" in flags,
        ignore_installed="--ignore-installed" in flags,
        force_reinstall="--force-reinstall" in flags,
    )


@dataclass(frozen=True)
class Verdict:
    """What pip would install, by normalised name, or ``None`` where it refuses; and its words."""

    installs: dict[str, str] | None
    output: str


def ask_pip(worlds: Sequence[World]) -> list[Verdict]:
    """What the pip of the running Python makes of each world, in one process."""
    questions = [
        {
            "installed": str(world.installed),
            "report": str(world.folder / "report.json"),
            "arguments": [
                "install", "--isolated", "--no-input", "--disable-pip-version-check",
                "--no-cache-dir", "--dry-run", "--quiet", "--report",
                str(world.folder / "report.json"), "--index-url", world.index.as_uri(),
                *world.arguments,
            ],
        }
        for world in worlds
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=json.dumps(questions),
        # Before Python 3.11 pip reads what is installed through pkg_resources, by other rules.
        env={**os.environ, "_PIP_USE_IMPORTLIB_METADATA": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        Verdict(_read_report(Path(world.folder / "report.json")) if code == 0 else None, output)
        for world, (code, output) in zip(worlds, json.loads(done.stdout), strict=True)
    ]


def _read_report(path: Path) -> dict[str, str]:
    found = json.loads(path.read_text())["install"]
    named = ((item["metadata"]["name"], item["metadata"]["version"]) for item in found)
    return {name.lower().replace("_", "-").replace(".", "-"): version for name, version in named}


_DRIVER = """\
import contextlib, io, json, os, sys
# pip's other backend, its default on Python 3.10, reads sys.path only once.
os.environ["_PIP_USE_IMPORTLIB_METADATA"] = "1"
from pip._internal.cli.main import main
answers = []
for question in json.load(sys.stdin):
    sys.path.insert(0, question["installed"])
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = main(question["arguments"])
    sys.path.remove(question["installed"])
    answers.append((int(code), told.getvalue()))
json.dump(answers, sys.stdout)
"""
