"""Target environments, and kedge run as a program on them.

::

    target = make_venv(tmp_path / "env")
    kedge = Kedge(environ, python=target)
    kedge("install", "demo", "--index-url", url).succeeded()
    target.versions()           # {"demo": "1.0"}
"""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from support.indexes import normalized
from support.processes import wait_until_idle

#: How kedge is started by default: as a module of the Python that runs the tests.
AS_MODULE = (sys.executable, "-m", "kedge")


@dataclass(frozen=True)
class Venv:
    """A virtual environment without pip."""

    path: Path

    @property
    def scripts(self) -> Path:
        return self.path / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    @property
    def site(self) -> Path:
        """``site-packages``."""
        variables = {"base": str(self.path), "platbase": str(self.path)}
        scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"
        return Path(sysconfig.get_path("purelib", scheme, vars=variables))

    def versions(self) -> dict[str, str]:
        """What is installed, by normalized name, read straight from ``site-packages``."""
        return versions_in(self.site)

    def dist_info(self, name: str) -> Path:
        """The one ``.dist-info`` folder of a project."""
        (found,) = [
            path
            for path in self.site.glob("*.dist-info")
            if normalized(path.name.partition("-")[0]) == normalized(name)
        ]
        return found

    def run(self, *words: str | Path, check: bool = True) -> str:
        """What the environment's Python prints, run isolated from the tests' own variables."""
        command = [str(self.python), "-I", *map(str, words)]
        return subprocess.run(command, check=check, capture_output=True, text=True).stdout

    def run_script(self, name: str, *words: str) -> str:
        """What an installed script prints."""
        command = [str(self.scripts / name), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def snapshot(self) -> dict[str, bytes | None]:
        """Every path below the environment and its contents (None: a folder): to compare."""
        return snapshot(self.path)


def make_venv(path: Path) -> Venv:
    """A fresh environment of the Python that runs the tests, in some 50 ms."""
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(path)
    return Venv(path)


def make_venv_with_kedge(path: Path) -> Venv:
    """An environment that can import kedge and what it needs, without holding any of it.

    For ``python -m kedge`` as a user has it. The folders of the tests' own Python come last on its
    path, by a ``.pth`` file.
    """
    made = make_venv(path)
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    import kedge

    folders.insert(0, str(Path(kedge.__file__).parents[1]))
    lines = "\n".join(dict.fromkeys(folders))
    (made.site / "kedge-of-the-tests.pth").write_text(lines + "\n", "utf-8")
    return made


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder and its contents (None: a folder; links are not followed)."""
    found: dict[str, bytes | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink()).encode()
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def versions_in(folder: Path) -> dict[str, str]:
    """What is installed in one folder, by normalized name."""
    return {
        normalized(found.metadata["Name"]): found.version
        for found in importlib.metadata.distributions(path=[str(folder)])
    }


# --------------------------------------------------------------------------------------------
# Running kedge


@dataclass(frozen=True)
class Outcome:
    """How a run of kedge ended."""

    words: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """stderr with every run of white space as one blank: for names that lines may wrap."""
        return " ".join(self.stderr.split())

    def succeeded(self) -> Outcome:
        """Itself; ``AssertionError`` with everything it printed unless it ended with 0."""
        assert self.code == 0, self
        return self.without_traceback()

    def failed(self, code: int = 1, *, saying: Sequence[str] = ()) -> Outcome:
        """Itself; ``AssertionError`` unless it ended with ``code``, in words and not a traceback.

        ``saying`` are specifics that must stand in stderr: a host, a path, a version.
        """
        assert self.code == code, self
        assert self.stderr.strip(), self
        for specific in saying:
            assert specific in self.stderr or specific in self.text, (specific, self)
        return self.without_traceback()

    def without_traceback(self) -> Outcome:
        # kedge catches what it did not foresee, and says that it is a bug: a traceback in words.
        for sign in ("Traceback", "bug in kedge"):
            assert sign not in self.stderr + self.stdout, self
        return self

    def __str__(self) -> str:
        return (
            f"$ kedge {' '.join(self.words)}\nexit code {self.code}\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        )

    __repr__ = __str__


@dataclass(frozen=True)
class Kedge:
    """Runs kedge as a child process in a given environment of variables.

    ``python`` is the target, named by ``--python``; None leaves the choice to kedge. ``prefix``
    comes before every command's words, after the command's name.
    """

    environ: Mapping[str, str]
    python: Venv | None = None
    prefix: tuple[str, ...] = ()
    program: tuple[str, ...] = AS_MODULE
    cwd: Path | None = None

    def __call__(
        self,
        command: str,
        *words: str | Path,
        environ: Mapping[str, str] | None = None,
        timeout: float = 150,
    ) -> Outcome:
        """Runs ``kedge COMMAND words…``; ``environ`` adds to the variables of this run."""
        line = self.line(command, *words)
        done = subprocess.run(
            line,
            env={**self.environ, **(environ or {})},
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
        )
        return Outcome(tuple(line[len(self.program) :]), done.returncode, done.stdout, done.stderr)

    def line(self, command: str, *words: str | Path) -> list[str]:
        """The command line, for a test that starts the child itself."""
        chosen = ["--python", str(self.python.python)] if self.python else []
        return [*self.program, command, *chosen, *self.prefix, *map(str, words)]

    def start(self, command: str, *words: str | Path) -> subprocess.Popen[str]:
        """Starts a run that the test will interrupt."""
        return subprocess.Popen(
            self.line(command, *words),
            env=dict(self.environ),
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def having(self, *words: str | Path, **environ: str) -> Kedge:
        """The same with more words for every command, and more variables."""
        return replace(
            self,
            prefix=(*self.prefix, *map(str, words)),
            environ={**self.environ, **environ},
        )


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C while it waits."""
    wait_until_idle(process.pid)
    process.send_signal(signal.SIGINT)


def with_private_certifi(folder: Path, pem: bytes) -> str:
    """A folder for ``PYTHONPATH`` whose ``certifi`` vouches for ``pem`` alone.

    The same package with another ``cacert.pem``, as Linux distributions patch it: kedge finds it
    through ``certifi.where()`` like any other.
    """
    import certifi

    package = folder / "certifi"
    package.mkdir(parents=True)
    for source in Path(certifi.__file__).parent.glob("*.py"):
        (package / source.name).write_bytes(source.read_bytes())
    (package / "cacert.pem").write_bytes(pem)
    return str(folder)
