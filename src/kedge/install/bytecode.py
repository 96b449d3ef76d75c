"""Compiling the modules of wheels, with the Python that they are installed for.

Costs ten times all the rest of an installation, so it is done only when asked for, in as many
processes as there are processors, once a wheel: the result is kept beside it in the cache. What
does not compile (templates, code of another Python) is left uncompiled, as pip leaves it.

Bytecode holds the time and size of its source, which are the same in every environment since
installing keeps the time of the cached file; the path in it Python corrects as it loads it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from kedge.cache import Bytecode, Linked, ManifestEntry, WheelStore
from kedge.environment.interpreter import Interpreter
from kedge.errors import InstallError
from kedge.install.plan import Addition, InstallReporter
from kedge.install.ready import made_ready
from kedge.install.records import spelled

# Runs in the target's Python, 3.8 or newer: a line of jobs in, a line when they are done.
_WORKER = """\
import json, py_compile, sys
for line in sys.stdin.buffer:
    for source, target, shown in json.loads(line):
        try:
            py_compile.compile(source, cfile=target, dfile=shown, doraise=True,
                               invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
        except OSError as exc:
            sys.exit(str(exc))
        except Exception:
            pass
    sys.stdout.write("done\\n")
    sys.stdout.flush()
"""


def bytecode_of(
    additions: Iterable[Addition],
    interpreter: Interpreter,
    store: WheelStore,
    reporter: InstallReporter,
) -> dict[str, Bytecode]:
    """The bytecode of all the wheels by their SHA-256; what the store does not have is made.

    :raises InstallError: the target's Python cannot be run for it.
    :raises CacheError: it cannot be stored.
    """
    tag = interpreter.cache_tag
    if tag is None:
        return {}
    found: dict[str, Bytecode] = {}
    missing = []
    for addition in additions:
        known = store.bytecode(addition.wheel, tag)
        if known is None:
            missing.append(addition)
        else:
            found[addition.wheel.sha256] = known
    if missing:
        with _Workers(interpreter) as workers:
            for addition in missing:
                reporter.compiling(addition.name)
                found[addition.wheel.sha256] = _compile(addition, tag, store, workers)
    return found


def _compile(addition: Addition, tag: str, store: WheelStore, workers: _Workers) -> Bytecode:
    manifest = addition.wheel.manifest
    sources = [entry for entry in manifest.linked.files if entry.path.endswith(".py")]

    def build(tree: Path) -> Linked:
        jobs: list[tuple[int, _Job]] = []
        paths: list[str] = []
        for entry in sources:
            folder, _, name = entry.path.rpartition("/")
            compiled = f"{folder}/" if folder else ""
            compiled += f"__pycache__/{name[:-3]}.{tag}.pyc"
            os.makedirs(tree / os.path.dirname(compiled), exist_ok=True)
            source = os.fspath(addition.wheel.tree / entry.path)
            jobs.append((entry.size, (source, os.fspath(tree / compiled), entry.path)))
            paths.append(compiled)
        workers.run(jobs)
        made = (_entry(tree, path) for path in paths)
        return made_ready((entry for entry in made if entry is not None), with_digests=False)

    return store.add_bytecode(addition.wheel, tag, build)


def _entry(tree: Path, path: str) -> ManifestEntry | None:
    try:
        with open(tree / path, "rb") as file:
            digest = spelled(hashlib.sha256(file.read()).digest())
            status = os.fstat(file.fileno())
    except FileNotFoundError:
        return None  # it did not compile
    return ManifestEntry(path, status.st_size, digest, status.st_mode & 0o777, status.st_mtime_ns)


_Job = tuple[str, str, str]


class _Workers:
    """Processes of the target's Python that compile; started at once, stopped at the end."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._executable = os.fspath(interpreter.executable)
        command = [self._executable, "-I", "-S", "-W", "ignore", "-c", _WORKER]
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for _ in range(os.cpu_count() or 1):
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                self._processes.append(process)
        except OSError as exc:
            self._stop(kill=True)
            raise InstallError(
                f"{self._executable} cannot be run to compile: {exc.strerror}."
            ) from exc

    def __enter__(self) -> _Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop(kill=error is not None)

    def run(self, jobs: list[tuple[int, _Job]]) -> None:
        """Compile these, each with its size; returns when all are done."""
        shares: list[list[_Job]] = [[] for _ in self._processes]
        loads = [0] * len(shares)
        for size, job in sorted(jobs, reverse=True):
            lightest = loads.index(min(loads))
            shares[lightest].append(job)
            loads[lightest] += size + 500
        busy = [
            (process, share)
            for process, share in zip(self._processes, shares, strict=True)
            if share
        ]
        try:
            # A worker answers only when it has read the whole line, so nothing blocks for good.
            for process, share in busy:
                if process.stdin is not None:
                    process.stdin.write(json.dumps(share).encode() + b"\n")
                    process.stdin.flush()
            answers = [process.stdout.readline() for process, _ in busy if process.stdout]
        except OSError as exc:
            raise self._failed() from exc
        if any(answer.strip() != b"done" for answer in answers):
            raise self._failed()

    def _failed(self) -> InstallError:
        return InstallError(
            f"{self._executable} ended while it was compiling.",
            hint="Is the disk full? Without --compile the modules are compiled when first used.",
        )

    def _stop(self, *, kill: bool) -> None:
        for process in self._processes:
            if kill:
                process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        pass
            process.wait()
