"""A process that unpacks as a copy of the one that asks: what it has of that, and what not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support.processes import listed
from support.wheels import wheel

pytestmark = [
    listed,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no copies"),
]

SMALL = wheel("demo", files={"demo/data.txt": "some text\n" * 100})

#: ``of`` tells what Linux says of a process, ``unpack`` has the wheel unpacked in one of them.
_BEGINNING = """
import hashlib, json, os, signal, sys, threading, time
from contextlib import closing
from pathlib import Path
from kedge.cache import open_cache
from kedge.install.workers import Workers

def of(pid, what):
    return Path(f"/proc/{pid}/{what}").read_bytes()

def is_copy(pid):
    return of(pid, "cmdline") == of("self", "cmdline")

def unpack(workers, archive=Path(sys.argv[1])):
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    store = open_cache(Path("cache").absolute()).wheels
    return workers.unpack(store, sha256, archive, filename=archive.name)

def unpacked_here(*_, **__):
    raise AssertionError("unpacked here")
"""


def _run(folder: Path, script: str) -> object:
    """What it prints as JSON. With one thread, which a process that runs tests seldom has."""
    archive = SMALL.write(folder)
    done = subprocess.run(
        [sys.executable, "-c", _BEGINNING + textwrap.dedent(script), archive],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_copy_unpacks_and_has_nothing_of_this_process(tmp_path: Path) -> None:
    found = _run(
        tmp_path,
        """
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: print("of another process"))
        open_here = open(sys.argv[1])
        with closing(Workers(2)) as workers:
            workers.begin()
            pids = [process.pid for process in workers._all]
            import kedge.install.unpack
            kedge.install.unpack.unpack_into = unpacked_here
            for _ in pids:  # each answers, so each is where it wants to be
                process = workers._take()
                workers._idle.insert(0, process)
                unpack(workers)
            status = of(pids[1], "status").decode().split("\\n")
            found = {
                "copies": [is_copy(pid) for pid in pids],
                "open": sorted(os.listdir(f"/proc/{pids[1]}/fd")),
                "folder": os.readlink(f"/proc/{pids[1]}/cwd"),
                "sessions": [os.getsid(pid) == pid for pid in pids],
                "blocked": [line for line in status if line.startswith("SigBlk")],
                "caught": [line for line in status if line.startswith("SigCgt")],
            }
        found["left"] = [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
        print(json.dumps(found))
        """,
    )
    assert isinstance(found, dict)
    caught = int(found.pop("caught")[0].split()[1], 16)
    assert not caught & 1  # SIGHUP ends it, and does not do what it would do here
    assert found == {
        "copies": [True, True],
        "open": ["0", "1", "2"],
        "folder": "/",
        "sessions": [True, True],
        "blocked": ["SigBlk:\t0000000000000000"],
        "left": [],
    }


def test_each_ends_with_its_own_input(tmp_path: Path) -> None:
    """The second was copied while this process held the other end of the first one's."""
    found = _run(
        tmp_path,
        """
        with closing(Workers(2)) as workers:
            workers.begin()
            first, second = workers._all
            first.stdin.close()
            first.wait(30)
            print(json.dumps(os.waitpid(second.pid, os.WNOHANG)))
        """,
    )
    assert found == [0, 0]  # it goes on


@pytest.mark.parametrize("sent", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_copy_that_is_killed(tmp_path: Path, sent: str) -> None:
    """Before a job, or by it: the wheel is unpacked all the same."""
    found = _run(
        tmp_path,
        f"""
        with closing(Workers(1)) as workers:
            workers.begin()
            (process,) = workers._all
            os.kill(process.pid, signal.{sent})
            wheel = unpack(workers)
            print(json.dumps([wheel.manifest.name, len(workers._all)]))
        """,
    )
    assert found == ["demo", 0]


def test_beside_another_thread_nothing_is_copied(tmp_path: Path) -> None:
    found = _run(
        tmp_path,
        """
        end = threading.Event()
        thread = threading.Thread(target=end.wait)
        thread.start()
        with closing(Workers(1)) as workers:
            workers.begin()
            unpack(workers)
            print(json.dumps([is_copy(process.pid) for process in workers._all]))
        end.set()
        """,
    )
    assert found == [False]


def test_what_waits_to_be_printed_is_printed_once(tmp_path: Path) -> None:
    found = _run(
        tmp_path,
        """
        sys.stdout.write("[1")
        with closing(Workers(2)) as workers:
            workers.begin()
            unpack(workers)
        sys.stdout.write("]")
        """,
    )
    assert found == [1]


def test_a_python_that_waits_for_no_child(tmp_path: Path) -> None:
    found = _run(
        tmp_path,
        """
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        with closing(Workers(1)) as workers:
            workers.begin()
            unpack(workers)
        print(json.dumps("ended"))
        """,
    )
    assert found == "ended"


def test_nothing_is_left_open_where_no_copy_can_be_had(tmp_path: Path) -> None:
    """As under a limit of processes: what would have been its pipes is closed."""
    if os.geteuid() == 0:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, used + 3))"
    else:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))"
    found = _run(
        tmp_path,
        f"""
        from kedge.install import processes
        before = os.listdir("/proc/self/fd")
        used = max(map(int, before))
        {limit}
        try:
            processes._copy(print)
        except OSError:
            print(json.dumps(os.listdir("/proc/self/fd") == before))
        """,
    )
    assert found is True


def test_a_signal_in_the_middle_of_it(tmp_path: Path) -> None:
    """Whenever it comes: no copy is left that nobody knows of, and none of this process's files,
    and signals arrive as before."""
    found = _run(
        tmp_path,
        """
        import random
        def children():
            tasks = Path("/proc/self/task").glob("*/children")
            return [int(each) for task in tasks for each in task.read_text().split()]
        class Told(Exception): pass
        def tell(*_): raise Told
        signal.signal(signal.SIGALRM, tell)
        before = os.listdir("/proc/self/fd")
        unknown = told = 0
        for _ in range(150):
            workers = Workers(1)
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00005, 0.003))
                workers.begin()
                while True:
                    time.sleep(1)
            except Told:
                told += 1
            known = [process.pid for process in workers._all]
            unknown += sum(pid not in known for pid in children())
            workers.close()
        print(json.dumps([
            told, unknown, children(), list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            len(os.listdir("/proc/self/fd")) - len(before),
        ]))
        """,
    )
    assert found == [150, 0, [], [], 0]


def test_a_copy_that_does_not_end_is_killed(tmp_path: Path) -> None:
    found = _run(
        tmp_path,
        """
        from kedge.install import workers as module
        module._SECONDS_TO_END = 0.2
        with closing(Workers(1)) as workers:
            workers.begin()
            (process,) = workers._all
            os.kill(process.pid, signal.SIGSTOP)
        print(json.dumps([process.wait(), os.path.exists(f"/proc/{process.pid}")]))
        """,
    )
    assert found == [-9, False]


def test_where_no_copy_can_be_had_a_new_interpreter_is_begun(tmp_path: Path) -> None:
    found = _run(
        tmp_path,
        """
        def fork():
            raise BlockingIOError("no memory for a copy")
        os.fork = fork
        with closing(Workers(1)) as workers:
            workers.begin()
            import kedge.install.unpack
            kedge.install.unpack.unpack_into = unpacked_here
            unpack(workers)
            print(json.dumps([is_copy(process.pid) for process in workers._all]))
        """,
    )
    assert found == [False]
