"""Streams that are closed or full, and being told to end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import wait_until
from support.venvs import Venv, make_venv
from support.wheels import wheel


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    return make_venv(tmp_path / "env")


@pytest.fixture
def line(venv: Venv, tmp_path: Path) -> str:
    """A shell's line that installs from a folder; redirections go behind it."""
    wheel("spam").write(tmp_path)
    words = ["--python", str(venv.python), "--no-index", "-f", str(tmp_path), "spam"]
    return " ".join([sys.executable, "-m kedge install", *words])


@pytest.mark.parametrize("redirection", ["2>&-", ">&-", ">&- 2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_what_cannot_be_told_does_not_decide_what_is_done(
    line: str, redirection: str, venv: Venv, clean_environ: dict[str, str]
) -> None:
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("not here: /dev/full")
    done = subprocess.run(f"{line} {redirection}", shell=True, env=clean_environ)
    assert done.returncode == 0
    assert venv.versions() == {"spam": "1.0"}


def test_a_reader_that_goes_away_is_no_bug(line: str, clean_environ: dict[str, str]) -> None:
    done = subprocess.run(
        f"{line} --dry-run --report - | true", shell=True, env=clean_environ, capture_output=True
    )
    assert b"Traceback" not in done.stderr
    assert b"bug" not in done.stderr


#: Under nohup, SIGHUP is ignored by children too, and kedge leaves it so.
AS_WITHOUT_NOHUP = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="not here: a folder in use can be removed")
@pytest.mark.parametrize("command", ["install spam", "uninstall -y spam", "download spam"])
def test_a_current_folder_that_is_gone(
    command: str, clean_environ: dict[str, str], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f"cd {gone} && rmdir {gone} && {sys.executable} -P -m kedge {command}"
    line = line.replace(" -P", "") if sys.version_info < (3, 11) else line
    done = subprocess.run(line, shell=True, env=clean_environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("current folder")) == (2, 1), done.stderr


#: Interrupted while the module is imported that reads the command line: the first after start-up.
INTERRUPTED_EARLY = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "kedge.cli.run":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from kedge.cli.main import program
sys.exit(program())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="not here: signals")
def test_ctrl_c_while_kedge_starts_is_no_traceback(clean_environ: dict[str, str]) -> None:
    command = [sys.executable, "-c", INTERRUPTED_EARLY, "list"]
    done = subprocess.run(command, env=clean_environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: Interrupted.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="not here: signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_end_leaves_nothing_behind(
    number: signal.Signals, venv: Venv, clean_environ: dict[str, str], tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        words = ["--python", str(venv.python), "-i", url, "--no-cache-dir", "spam"]
        with subprocess.Popen(
            [sys.executable, "-c", AS_WITHOUT_NOHUP, "-m", "kedge", "install", *words],
            env={**clean_environ, "TMPDIR": str(temporary)},
            stderr=subprocess.PIPE,
        ) as process:
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                wait_until(lambda: list(temporary.iterdir()))
                process.send_signal(number)
                _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"Traceback" not in said
    assert list(temporary.iterdir()) == []


#: What is to be done when Python ends: callbacks, threads that are waited for, what is buffered.
LEAVES = """
import atexit, sys, threading
from kedge.cli.main import leave
{before}
sys.stdout.write("written ")
leave(3)
"""


@pytest.mark.parametrize(
    ("before", "said"),
    [
        pytest.param("", "written ", id="what is buffered"),
        pytest.param("atexit.register(print, 'last')", "written last\n", id="a callback"),
        pytest.param(
            "ended = threading.main_thread().join\n"
            "threading.Thread(target=lambda: (ended(), print('waited'))).start()",
            "written waited\n",
            id="a thread",
        ),
        pytest.param("sys.stderr = None", "written ", id="a stream that is closed"),
    ],
)
def test_what_is_left_to_the_end_is_done(
    before: str, said: str, clean_environ: dict[str, str]
) -> None:
    command = [sys.executable, "-c", LEAVES.format(before=before)]
    done = subprocess.run(command, env=clean_environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, said, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="not here: /dev/full")
def test_results_that_could_not_be_written_are_no_success(clean_environ: dict[str, str]) -> None:
    line = [sys.executable, "-c", LEAVES.format(before="")]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(line, env=clean_environ, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 120  # Python's own, as with sys.exit
    assert b"No space left" in done.stderr
