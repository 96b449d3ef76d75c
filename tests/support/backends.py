"""Projects to be built: by real backends, and by one of our own that does what a test tells it.

::

    files = project("spam", "1.0", build_requires=["helper"])
    as_sdist("spam", "1.0", files)              # for an index
    write_project(tmp_path / "spam", files)     # a folder

The backend of our own lies in the project (``backend-path``), needs nothing, and writes a wheel in
the plainest way. ``code`` is put below its functions and may replace them.
"""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import importlib.metadata
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.wheels import Artifact, core_metadata, tar_gz

_BACKEND = """\
import base64, csv, hashlib, io, json, os, zipfile

facts = json.load(open("project.json"))
NAME, VERSION = facts["name"], facts["version"]
MODULE = NAME.replace("-", "_")
INFO = f"{MODULE}-{VERSION}.dist-info"

def _metadata():
    lines = ["Metadata-Version: 2.1", f"Name: {NAME}", f"Version: {VERSION}"]
    lines += [f"Requires-Dist: {one}" for one in facts["requires"]]
    return "\\n".join(lines) + "\\n"

def _wheel(folder, files, name=None):
    files = dict(files)
    files[f"{INFO}/METADATA"] = _metadata()
    files[f"{INFO}/WHEEL"] = (
        "Wheel-Version: 1.0\\nGenerator: tiny\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    )
    name = name or f"{MODULE}-{VERSION}-py3-none-any.whl"
    rows = io.StringIO()
    out = csv.writer(rows, lineterminator="\\n")
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, text in files.items():
            data = text.encode()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            out.writerow([path, f"sha256={digest}", len(data)])
            archive.writestr(path, data)
        out.writerow([f"{INFO}/RECORD", "", ""])
        archive.writestr(f"{INFO}/RECORD", rows.getvalue())
    return name

def _sources():
    with open(f"{MODULE}.py") as file:
        return {f"{MODULE}.py": file.read()}

def get_requires_for_build_wheel(config_settings=None):
    return facts["dynamic"]

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    os.mkdir(os.path.join(metadata_directory, INFO))
    with open(os.path.join(metadata_directory, INFO, "METADATA"), "w") as file:
        file.write(_metadata())
    return INFO

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _wheel(wheel_directory, _sources())

get_requires_for_build_editable = get_requires_for_build_wheel
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return _wheel(wheel_directory, {f"_{MODULE}.pth": os.getcwd() + "\\n"})

"""

Files = dict[str, str]


def project(
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    build_requires: Sequence[str] = (),
    dynamic: Sequence[str] = (),
    code: str = "",
    pkg_info: str | None = None,
) -> Files:
    """The files of a project that the backend of our own builds.

    ``dynamic`` are the requirements that only the backend's hook tells. The module ``name`` holds
    ``VERSION``.
    """
    listed = ", ".join(json.dumps(one) for one in build_requires)
    facts = {
        "name": name,
        "version": version,
        "requires": list(requires),
        "dynamic": list(dynamic),
    }
    files = {
        "pyproject.toml": (
            f'[build-system]\nrequires = [{listed}]\nbuild-backend = "tiny"\nbackend-path = ["."]\n'
        ),
        "project.json": json.dumps(facts),
        "tiny.py": _BACKEND + code,
        f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n",
    }
    if pkg_info is not None:
        files["PKG-INFO"] = pkg_info
    return files


def static_pkg_info(name: str, version: str, *, requires: Sequence[str] = ()) -> str:
    """``PKG-INFO`` that building cannot change (PEP 643)."""
    lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {one}" for one in requires]
    return "\n".join([*lines, ""])


def write_project(folder: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def as_sdist(name: str, version: str, files: Mapping[str, str]) -> Artifact:
    """The files as a source distribution."""
    stem = f"{name.replace('-', '_')}-{version}"
    members = {f"{stem}/{path}": text.encode() for path, text in files.items()}
    data = tar_gz(members, mtime=1_600_000_000)
    metadata = files["PKG-INFO"].encode() if "PKG-INFO" in files else core_metadata(name, version)
    return Artifact(name, version, f"{stem}.tar.gz", data, metadata)


@functools.cache
def real(name: str) -> Artifact:
    """A distribution of the tests' own environment, made into a wheel again."""
    found = importlib.metadata.distribution(name)
    module, version = found.metadata["Name"].replace("-", "_").lower(), found.version
    buffer, rows = io.BytesIO(), io.StringIO()
    record = csv.writer(rows, lineterminator="\n")
    info = f"{module}-{version}.dist-info"
    skipped = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(found.files or (), key=str):
            text = path.as_posix()
            if text.startswith("..") or "__pycache__" in text or path.name in skipped:
                continue
            top, _, rest = text.partition("/")
            text = f"{info}/{rest}" if top.endswith(".dist-info") else text
            data = Path(str(path.locate())).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
            record.writerow([text, f"sha256={digest.decode()}", len(data)])
            archive.writestr(text, data)
        record.writerow([f"{info}/RECORD", "", ""])
        archive.writestr(f"{info}/RECORD", rows.getvalue())
    metadata = (found.read_text("METADATA") or "").encode()
    return Artifact(
        name, version, f"{module}-{version}-py3-none-any.whl", buffer.getvalue(), metadata
    )


def real_with_requirements(name: str) -> list[Artifact]:
    """The same, and everything that it requires here."""
    found: dict[str, Artifact] = {}
    wanted = [name]
    while wanted:
        one = wanted.pop()
        if one in found:
            continue
        found[one] = real(one)
        for text in importlib.metadata.requires(one) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(canonicalize_name(requirement.name))
    return list(found.values())
