"""Being told to end: at any moment, and once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no signals to send")

SENT = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if os.name == "posix" else [])]

#: What goes away while something else is done, and has a callback: as modules' locks at an import.
GOING = """
import os, signal, sys, time, weakref
from kedge.cli.main import end_tidily_on_signals

def last(*_):
    {}

class Thing:
    pass

class Closing:
    def __del__(self):
        last()

def weak():
    thing = Thing()
    reference = weakref.ref(thing, last)
    del thing

def closing():
    Closing()

end_tidily_on_signals()
"""


#: Whoever started the tests may have some ignored (``nohup``): not so here.
HEARD = f"""
import signal
for number in {[int(each) for each in SENT]}:
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", HEARD + code, *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


@posix
@pytest.mark.parametrize("sent", SENT, ids=lambda sent: sent.name)
@pytest.mark.parametrize("way", ["weak", "closing"])
def test_none_is_forgotten(sent: signal.Signals, way: str) -> None:
    """Python prints what is raised there, and goes on."""
    code = GOING.format(f"os.kill(os.getpid(), {int(sent)})") + (
        f"try:\n    {way}()\n    time.sleep(30)\nexcept KeyboardInterrupt:\n    print('ended')\n"
    )
    outcome = run(code)
    assert (outcome.stdout, outcome.stderr, outcome.returncode) == ("ended\n", "", 0)


@posix
def test_one_that_is_ignored_stays_ignored() -> None:
    """As ``nohup`` and a shell's background have it; the others are heard all the same."""
    before = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    code = before + GOING.format("os.kill(os.getpid(), signal.SIGTERM)") + (
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "try:\n    weak()\n    time.sleep(30)\nexcept KeyboardInterrupt:\n    print('ended')\n"
    )  # fmt: skip
    assert run(code).stdout == "ended\n"


def test_other_mistakes_there_are_still_told() -> None:
    outcome = run(GOING.format("raise LookupError('a mistake')") + "weak()\n")
    assert "LookupError: a mistake" in outcome.stderr


@posix
@pytest.mark.parametrize("sent", SENT, ids=lambda sent: sent.name)
def test_when_all_is_said_it_ends_at_once(sent: signal.Signals) -> None:
    code = (
        "import os, sys\n"
        "from kedge.cli.main import program\n"
        "code = program()\n"
        "print(code, flush=True)\n"
        f"os.kill(os.getpid(), {int(sent)})\n"
        "print('went on')\n"
    )
    outcome = run(code, "help")
    assert outcome.returncode == -sent
    assert outcome.stdout.endswith("\n0\n")
    assert outcome.stderr == ""
