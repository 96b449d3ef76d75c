"""Small wheels and source distributions, built in memory: sound ones, and ones to be refused.

::

    built = wheel("demo", "1.2", requires=["other>=1"], entry_points={"demo": "demo:main"})
    built.filename, built.data, built.sha256, built.metadata

The package holds ``__version__`` and a ``main`` that prints it, so that a test can tell what it
installed by running it. What makes a wheel wrong is done to the archive as a whole, after it was
built: :func:`with_member`, :func:`with_record`, :func:`truncated`, :func:`tampered`.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_EPOCH = (2020, 2, 2, 0, 0, 0)
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Artifact:
    """A distribution file. ``metadata`` is the contents of its METADATA or PKG-INFO."""

    name: str
    version: str
    filename: str
    data: bytes
    metadata: bytes
    requires_python: str | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def hash_option(self) -> str:
        """As a requirements file writes it: ``--hash=sha256:…``."""
        return f"--hash=sha256:{self.sha256}"

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.filename
        path.write_bytes(self.data)
        return path


def wheel(
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    extras: Mapping[str, Sequence[str]] | None = None,
    requires_python: str | None = None,
    entry_points: Mapping[str, str] | None = None,
    gui: Mapping[str, str] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    data: Mapping[str, str | bytes] | None = None,
    tag: str = "py3-none-any",
    build: str | None = None,
    purelib: bool = True,
    metadata: Sequence[str] = (),
    package: bool = True,
) -> Artifact:
    """A sound wheel.

    ``files`` are members beside the package ``name``; ``data`` those of the ``.data`` folder, by
    scheme and path (``"scripts/run"``). ``metadata`` are more header lines. ``package=False``
    leaves the package itself out.
    """
    module = _module(name)
    stem = f"{module}-{version}"
    members: dict[str, bytes] = {}
    if package:
        members[f"{module}/__init__.py"] = _source(name, version).encode()
    members |= {path: _bytes(contents) for path, contents in (files or {}).items()}
    members |= {f"{stem}.data/{path}": _bytes(contents) for path, contents in (data or {}).items()}
    described = core_metadata(
        name,
        version,
        requires=requires,
        extras=extras,
        requires_python=requires_python,
        lines=metadata,
    )
    members[f"{stem}.dist-info/METADATA"] = described
    members[f"{stem}.dist-info/WHEEL"] = _wheel_file(tag, build, purelib=purelib)
    if entry_points or gui:
        text = _entry_points({"console_scripts": entry_points, "gui_scripts": gui})
        members[f"{stem}.dist-info/entry_points.txt"] = text
    middle = f"-{build}" if build else ""
    return Artifact(
        name,
        version,
        f"{stem}{middle}-{tag}.whl",
        _archive(members, f"{stem}.dist-info/RECORD"),
        described,
        requires_python,
    )


def sdist(
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    build_requires: Sequence[str] = ("setuptools",),
    backend: str = "setuptools.build_meta",
    files: Mapping[str, str | bytes] | None = None,
) -> Artifact:
    """A source distribution with a ``pyproject.toml``, by default for setuptools."""
    module = _module(name)
    stem = f"{module}-{version}"
    described = core_metadata(name, version, requires=requires, requires_python=requires_python)
    listed = ", ".join(f'"{requirement}"' for requirement in requires)
    wanted = ", ".join(f'"{requirement}"' for requirement in build_requires)
    project = (
        f'[build-system]\nrequires = [{wanted}]\nbuild-backend = "{backend}"\n\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = [{listed}]\n'
    )
    members = {
        f"{stem}/PKG-INFO": described,
        f"{stem}/pyproject.toml": project.encode(),
        f"{stem}/{module}/__init__.py": _source(name, version).encode(),
    }
    members |= {f"{stem}/{path}": _bytes(contents) for path, contents in (files or {}).items()}
    return Artifact(name, version, f"{stem}.tar.gz", tar_gz(members), described, requires_python)


def tar_gz(members: Mapping[str, bytes], *, mtime: int = 0) -> bytes:
    """The same archive at any time: gzip's header would hold the second in which it was made."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path, contents in members.items():
            member = tarfile.TarInfo(path)
            member.size = len(contents)
            member.mtime = mtime
            archive.addfile(member, io.BytesIO(contents))
    return buffer.getvalue()


def core_metadata(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    extras: Mapping[str, Sequence[str]] | None = None,
    requires_python: str | None = None,
    lines: Sequence[str] = (),
) -> bytes:
    """METADATA as a back end writes it. ``extras`` maps each extra to its requirements."""
    header = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    if requires_python:
        header.append(f"Requires-Python: {requires_python}")
    header += [f"Requires-Dist: {requirement}" for requirement in requires]
    for extra, wanted in (extras or {}).items():
        header.append(f"Provides-Extra: {extra}")
        for requirement in wanted:
            plain, _, marker = requirement.partition(";")
            both = f"({marker.strip()}) and " if marker else ""
            header.append(f'Requires-Dist: {plain.strip()} ; {both}extra == "{extra}"')
    return "\n".join([*header, *lines, "", "Built by kedge's tests.", ""]).encode()


# --------------------------------------------------------------------------------------------
# Wrong on purpose


def with_member(
    artifact: Artifact, path: str, contents: str | bytes = b"", *, recorded: bool = True
) -> Artifact:
    """One more member, whatever its path: ``../outside``, ``/etc/x``, a name that is there."""
    members = _members(artifact)
    record = _record_path(members)
    rows = list(csv.reader(io.StringIO(dict(members)[record].decode())))
    if recorded:
        rows.insert(-1, [path, *_digest(_bytes(contents))])
    kept = [(name, data) for name, data in members if name != record]
    return _repacked(artifact, [*kept, (path, _bytes(contents))], rows)


def with_symlink(artifact: Artifact, path: str, target: str) -> Artifact:
    """One more member that is a symbolic link."""
    link = zipfile.ZipInfo(path, _EPOCH)
    link.create_system = 3
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO(artifact.data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, target)
    return replace(artifact, data=buffer.getvalue())


def with_record(artifact: Artifact, change: Callable[[list[Row]], Iterable[Row]]) -> Artifact:
    """The same members under another RECORD: ``change`` gets its rows and gives the new ones."""
    members = _members(artifact)
    record = _record_path(members)
    rows = [
        (row[0], row[1], row[2]) for row in csv.reader(io.StringIO(dict(members)[record].decode()))
    ]
    kept = [(name, data) for name, data in members if name != record]
    return _repacked(artifact, kept, change(rows))


def with_wrong_record_hash(artifact: Artifact) -> Artifact:
    """RECORD states another digest for the first member."""

    def change(rows: list[Row]) -> list[Row]:
        (path, _, size), *others = rows
        return [(path, f"sha256={_base64(hashlib.sha256(b'other').digest())}", size), *others]

    return with_record(artifact, change)


def without_member(artifact: Artifact, ending: str) -> Artifact:
    """Without the members whose path ends so: ``WHEEL``, ``METADATA``, ``RECORD``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in _members(artifact):
            if not path.endswith(ending):
                archive.writestr(zipfile.ZipInfo(path, _EPOCH), data)
    return replace(artifact, data=buffer.getvalue())


def truncated(artifact: Artifact, keep: float = 0.6) -> Artifact:
    """The first part of the file."""
    return replace(artifact, data=artifact.data[: int(len(artifact.data) * keep)])


def tampered(artifact: Artifact) -> Artifact:
    """The same name and version with one more module inside, and a RECORD that fits."""
    return with_member(artifact, f"{_module(artifact.name)}/added.py", b"print('not yours')\n")


def renamed(artifact: Artifact, filename: str) -> Artifact:
    """The same archive under another file name."""
    return replace(artifact, filename=filename)


# --------------------------------------------------------------------------------------------
# Parts


def _module(name: str) -> str:
    """The escaped name of the wheel specification."""
    return name.lower().replace("-", "_").replace(".", "_")


def _source(name: str, version: str) -> str:
    return f"__version__ = {version!r}\n\n\ndef main() -> None:\n    print({name!r}, __version__)\n"


def _bytes(contents: str | bytes) -> bytes:
    return contents.encode() if isinstance(contents, str) else contents


def _wheel_file(tag: str, build: str | None, *, purelib: bool) -> bytes:
    interpreters, abis, platforms = tag.split("-")
    tags = [
        f"Tag: {interpreter}-{abi}-{platform}"
        for interpreter in interpreters.split(".")
        for abi in abis.split(".")
        for platform in platforms.split(".")
    ]
    lines = [
        "Wheel-Version: 1.0",
        "Generator: kedge-tests (1)",
        f"Root-Is-Purelib: {str(purelib).lower()}",
        *([f"Build: {build}"] if build else []),
        *tags,
    ]
    return "\n".join([*lines, ""]).encode()


def _entry_points(groups: Mapping[str, Mapping[str, str] | None]) -> bytes:
    lines = []
    for group, entries in groups.items():
        if entries:
            lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    return "\n".join([*lines, ""]).encode()


def _archive(members: Mapping[str, bytes], record: str) -> bytes:
    rows = [(path, *_digest(contents)) for path, contents in members.items()]
    return _zip([*members.items(), (record, _record([*rows, (record, "", "")]))])


def _zip(members: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, contents in members:
            info = zipfile.ZipInfo(path, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if ".data/scripts/" in path else 0o100644) << 16
            archive.writestr(info, contents)
    return buffer.getvalue()


def _members(artifact: Artifact) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(artifact.data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def _record_path(members: Iterable[tuple[str, bytes]]) -> str:
    return next(path for path, _ in members if path.endswith(".dist-info/RECORD"))


def _repacked(
    artifact: Artifact, members: Sequence[tuple[str, bytes]], rows: Iterable[Sequence[str]]
) -> Artifact:
    record = _record_path(_members(artifact))
    return replace(artifact, data=_zip([*members, (record, _record(rows))]))


def _record(rows: Iterable[Sequence[str]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def _digest(contents: bytes) -> tuple[str, str]:
    return f"sha256={_base64(hashlib.sha256(contents).digest())}", str(len(contents))


def _base64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
