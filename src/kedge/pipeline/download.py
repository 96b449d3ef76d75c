"""``kedge download``: what an install would fetch, as files in a folder; read it top to bottom."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

from kedge.classes import frozen
from kedge.errors import KedgeError, UsageError
from kedge.index import IndexFile
from kedge.pipeline.aim import aim_of
from kedge.pipeline.asked import Asked, gather, uploaded_prior_to
from kedge.pipeline.digests import check_digests, digests_of
from kedge.pipeline.parallel import fetch_each
from kedge.pipeline.supply import connected, supply
from kedge.resolve import Problem
from kedge.settings import options as table

if TYPE_CHECKING:
    from kedge.environment import Interpreter
    from kedge.model import TrustDecision
    from kedge.pipeline.catalog import Catalog
    from kedge.pipeline.connection import Connection
    from kedge.pipeline.reporter import Reporter
    from kedge.resolve import Pin
    from kedge.settings.values import Settings


@frozen
class Saved:
    """One file in the folder; ``present`` if it lay there already."""

    pin: Pin
    path: Path
    present: bool


@frozen
class Downloads:
    """What was asked for and its dependencies, as files, in the order of an install."""

    decision: TrustDecision
    saved: tuple[Saved, ...]


def download(settings: Settings, interpreter: Interpreter, reporter: Reporter) -> Downloads:
    """Carry out ``kedge download``. A file is in the folder whole and checked, or not at all.

    Nothing that is installed counts, and the environment stays as it is. Raises every kind of
    :class:`~kedge.errors.KedgeError`.
    """
    aim = aim_of(settings, interpreter)
    folder = _folder(settings)
    with connected(settings, reporter) as (cache, connection):
        asked = gather(settings, connection, aim, reporter)
        with supply(settings, asked, interpreter, connection, cache, reporter) as supplies:
            began = time.monotonic()
            problem = _problem(settings, asked)
            catalog = supplies.catalog(problem)
            resolution = supplies.recall.resolve(problem, catalog, reporter)
            reporter.resolved(resolution, time.monotonic() - began)
            save = partial(_save, folder=folder, connection=connection, catalog=catalog)
            pins = [pin for pin in resolution.to_install if not _is_folder(pin, reporter)]
            repositories = [pin for pin in pins if catalog.is_repository(_file(pin))]
            packed = [_pack(pin, folder, catalog.checked_out(_file(pin))) for pin in repositories]
            files = [pin for pin in pins if pin not in repositories]
            saved = [*packed, *fetch_each(save, files, connection.close)]
        return Downloads(connection.decision, tuple(saved))


def _folder(settings: Settings) -> Path:
    folder = Path(settings.value(table.DEST))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        reason = "it is a file" if folder.is_file() else exc.strerror
        raise UsageError(f"{folder} cannot be the folder to download into: {reason}.") from exc
    return folder


def _problem(settings: Settings, asked: Asked) -> Problem:
    return Problem(
        requested=asked.requested,
        constraints=asked.constraints,
        markers=asked.aim.markers,
        tags=asked.aim.tags,
        python_version=asked.aim.python_version,
        formats=asked.formats,
        releases=asked.releases,
        prefer_binary=asked.prefer_binary,
        ignore_requires_python=settings.value(table.IGNORE_REQUIRES_PYTHON),
        no_deps=settings.value(table.NO_DEPS),
        only_deps=settings.value(table.ONLY_DEPS),
        uploaded_prior_to=uploaded_prior_to(settings),
        require_hashes=asked.require_hashes,
        ignore_installed=True,
    )


def _is_folder(pin: Pin, reporter: Reporter) -> bool:
    """Whether it is a folder with sources, of which there is no file to save (pip's rule)."""
    local = _file(pin).local
    if local is None or not local.is_dir():
        return False
    reporter.notice(f"{pin} is in {local}, a folder: there is no file of it to save.")
    return True


def _pack(pin: Pin, folder: Path, checkout: Path) -> Saved:
    """A repository as a zip file, its own records included: some versions are read from them."""
    path = folder / f"{pin.name}-{pin.version}.zip"
    with tempfile.TemporaryDirectory(dir=folder) as place:
        base = Path(place) / path.stem
        made = shutil.make_archive(str(base), "zip", checkout.parent, checkout.name)
        Path(made).replace(path)
    return Saved(pin, path, present=False)


def _file(pin: Pin) -> IndexFile:
    if not isinstance(pin.file, IndexFile):
        raise TypeError(f"{pin} is nothing that can be downloaded")
    return pin.file


def _save(pin: Pin, *, folder: Path, connection: Connection, catalog: Catalog) -> Saved:
    file = _file(pin)
    path = folder / file.filename
    if path.is_file() and _is_expected(path, pin):
        return Saved(pin, path, present=True)
    already = catalog.index.downloaded(file)
    archive = catalog.fetched(file)
    if file.local is not None:
        check_digests(file.local, pin.hashes, digests_of(file.local, pin.hashes.algorithms()))
        _copy(file.local, path)
    elif already is not None:
        check_digests(already.path, pin.hashes, already.digests)
        _copy(already.path, path)
    elif archive is not None:
        _copy(archive, path)
    else:
        url = urldefrag(file.url).url
        connection.download(url, path, hashes=pin.hashes, size=file.size, name=file.filename)
    return Saved(pin, path, present=False)


def _is_expected(path: Path, pin: Pin) -> bool:
    """Whether what lies there is the file; where no digest is known, its name has to do."""
    hashes = pin.hashes
    return not hashes or hashes.allow(digests_of(path, hashes.algorithms()))


def _copy(source: Path, path: Path) -> None:
    """Under another name first: the folder never holds half a file by the name of a whole one."""
    part = path.with_name(f"{path.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        shutil.copyfile(source, part)
        part.replace(path)
    except OSError as exc:
        raise KedgeError(f"{path} cannot be written: {exc.strerror or exc}.") from exc
    finally:
        part.unlink(missing_ok=True)
