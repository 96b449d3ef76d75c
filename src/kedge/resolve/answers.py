"""The answer to a question that was asked before, while everything that it rests on is the same.

A resolution is a function of the question, of the pages and the metadata that the engine looked at,
and of what is installed. :func:`question` is a digest of the first; :class:`Kept` holds the answer
and names its :class:`Grounds`, with digests of what they were. Whoever keeps it compares these with
how things are; where anything differs, or cannot be told, the engine has to be asked again.

Pure: knows nothing of where answers are kept. Only what rests on pages and wheels of remote indexes
is kept: what is built, lies on this machine or was named by its URL is always looked at anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import packaging
from packaging.utils import NormalizedName
from packaging.version import Version

from kedge import __version__
from kedge.classes import frozen, replace
from kedge.environment.installed import Kind
from kedge.index import IndexFile, Link
from kedge.resolve.hashing import hashes_by_user
from kedge.resolve.report import ResolveReporter
from kedge.resolve.resolution import Pin, Resolution, pin_of_file

if TYPE_CHECKING:
    from kedge.model import Hashes
    from kedge.requirements import Requested
    from kedge.resolve.problem import Problem

#: Raised with every change of what is kept.
_FORM = 1

#: What was said by the way: the reporter's hook, and the sentence.
Told: TypeAlias = tuple[tuple[str, str], ...]


@frozen
class Grounds:
    """What the engine looked at: the projects whose pages it read, those that it would have kept
    if they were installed, and the wheels whose metadata it read.
    """

    pages: Collection[NormalizedName]
    names: Collection[NormalizedName]
    wheels: Collection[IndexFile]


@frozen
class Kept:
    """An answer of the engine, what it rests on, and what the engine said by the way.

    ``state`` is a digest of the pages and the wheels' metadata, ``installed`` one of
    :func:`installed_state`.
    """

    resolution: Resolution
    grounds: Grounds
    state: str
    installed: str
    told: Told


class Heard(ResolveReporter):
    """Passes on what the engine tells, and remembers what has to be told again."""

    def __init__(self, reporter: ResolveReporter) -> None:
        self._reporter = reporter
        self.told: list[tuple[str, str]] = []

    def round_started(self, index: int) -> None:
        self._reporter.round_started(index)

    def pinned(self, name: str, version: str) -> None:
        self._reporter.pinned(name, version)

    def rejected(self, name: str, version: str, reason: str) -> None:
        self._reporter.rejected(name, version, reason)

    def notice(self, message: str) -> None:
        self.told.append(("notice", message))
        self._reporter.notice(message)

    def warn(self, message: str) -> None:
        self.told.append(("warn", message))
        self._reporter.warn(message)


def tell_again(told: Told, reporter: ResolveReporter) -> None:
    """What the engine said by the way, once more."""
    for hook, message in told:
        if hook == "warn":
            reporter.warn(message)
        else:
            reporter.notice(message)


# --------------------------------------------------------------------------------------------
# What it is a function of


def question(problem: Problem, places: Sequence[str]) -> str | None:
    """A digest of all that is asked of the indexes at these addresses, and of who answers.

    ``None`` where the answer would rest on more than these indexes' pages and wheels.
    """
    lines = [*problem.requested, *problem.constraints]
    if any(line.url is not None or line.editable or line.locked for line in lines):
        return None
    prior_to = problem.uploaded_prior_to
    asked = [
        [_FORM, __version__, packaging.__version__, _engine()],
        list(places),
        [_line(line) for line in problem.requested],
        [_line(line) for line in problem.constraints],
        sorted((name, one.version_text) for name, one in problem.installed.items()),
        sorted(problem.markers.items()),
        [str(tag) for tag in problem.tags],
        problem.python_version,
        problem.upgrade.value,
        str(problem.formats),
        str(problem.releases),
        prior_to and prior_to.isoformat(),
        problem.prefer_binary,
        problem.ignore_requires_python,
        problem.no_deps,
        problem.only_deps,
        problem.require_hashes,
        problem.ignore_installed,
        problem.force_reinstall,
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _engine() -> str:
    """Which resolvelib it is: by the file that states it, for importing it takes as long as
    recalling an answer.
    """
    spec = PathFinder.find_spec("resolvelib")
    try:
        if spec is not None and spec.origin is not None:
            return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
    except OSError:  # not a file of its own
        pass
    import resolvelib

    return resolvelib.__version__


def _line(line: Requested) -> list[Any]:
    """Everything but the place where it was written, which decides nothing."""
    return [
        line.name,
        str(line.specifier),
        sorted(line.extras),
        str(line.marker or ""),
        list(line.hashes),
        line.hash_option,
        sorted(line.config_settings.items()),
        line.text,
    ]


def installed_state(problem: Problem, names: Iterable[NormalizedName]) -> str | None:
    """A digest of what is installed of these projects; ``None`` where one is of an old kind."""
    present = problem.installed
    found = [present[name] for name in sorted(names) if name in present]
    if any(one.kind is not Kind.DIST_INFO for one in found):
        return None
    told = [
        (one.name, one.version_text, str(one.editable_location), one.metadata_digest)
        for one in found
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


# --------------------------------------------------------------------------------------------
# As bytes


def dump(kept: Kept) -> bytes:
    """The answer as bytes; they are as good for another environment as for this one."""
    pinned = [_pin_as_json(pin) for pin in kept.resolution.pins]
    urls = {pin.file.url for pin in kept.resolution.pins if isinstance(pin.file, IndexFile)}
    grounds = kept.grounds
    return json.dumps(
        [
            kept.state,
            kept.installed,
            kept.told,
            sorted(grounds.pages),
            sorted(grounds.names),
            pinned,
            [_file_as_json(file) for file in grounds.wheels if file.url not in urls],
        ],
        separators=(",", ":"),
    ).encode()


def load(data: bytes, problem: Problem) -> Kept:
    """The answer, for the question that it was given to; ``ValueError`` where it is none.

    What is installed in ``problem`` stands where an installed distribution stood.
    """
    try:
        state, installed, told, pages, names, pinned, others = json.loads(data)
        hashes = hashes_by_user(problem)
        pins = tuple(_pin_from_json(one, problem, hashes) for one in pinned)
        wheels = [pin.file for pin in pins if isinstance(pin.file, IndexFile)]
        wheels += [_file_from_json(one) for one in others]
        return Kept(
            Resolution(pins),
            Grounds(pages, names, wheels),
            state,
            installed,
            tuple((hook, message) for hook, message in told),
        )
    except (LookupError, TypeError) as exc:
        raise ValueError("no answer that was kept") from exc


def _pin_as_json(pin: Pin) -> list[Any]:
    file = _file_as_json(pin.file) if isinstance(pin.file, IndexFile) else None
    return [
        pin.name,
        str(pin.version),
        file,
        sorted(pin.extras),
        pin.requested,
        pin.requires,
    ]


def _pin_from_json(
    data: list[Any], problem: Problem, hashes: Mapping[NormalizedName, Hashes]
) -> Pin:
    name, version, stated, extras, requested, requires = data
    if stated is None:
        pin = Pin(name=name, version=Version(version), file=problem.installed[name], kept=True)
    else:
        pin = pin_of_file(_file_from_json(stated), problem, hashes)
    return replace(pin, extras=frozenset(extras), requested=requested, requires=tuple(requires))


def _file_as_json(file: IndexFile) -> list[Any]:
    return [file.name, str(file.version), file.index, list(file.link)]


def _file_from_json(data: list[Any]) -> IndexFile:
    name, version, index, (url, filename, hashes, python, yanked, metadata, size, time, egg) = data
    link = Link(
        url,
        filename,
        _pairs(hashes),
        python,
        yanked,
        None if metadata is None else _pairs(metadata),
        size,
        time,
        egg,
    )
    return IndexFile(link, name, Version(version), is_wheel=True, index=index)


def _pairs(data: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, digest) for name, digest in data)
