"""Ctrl-C that comes just as something is waited for: Python has looked for signals by then."""

from __future__ import annotations

import subprocess
import sys

import pytest

# interrupt_main() says that a signal has come and wakes nobody, as a signal does that comes
# between Python's look and the sleep.
_SCRIPT = """
import _thread, sys, threading, time
from concurrent.futures import Future, _base
from kedge.index.shared import Once, wait_for
from kedge.pipeline.parallel import fetch_each

main, over = threading.get_ident(), threading.Event()

def files():
    frame = sys._current_frames()[main]
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back

def interrupt():
    while not {{_base.__file__, threading.__file__}} <= {{*files()}}:
        time.sleep(0.001)
    _thread.interrupt_main()

def wait(future):
    wait_for([future])

def fetch(_):
    fetch_each(lambda _: over.wait(), [1], over.set)

def ask(_):
    once, begun = Once(), threading.Event()
    def compute():
        begun.set()
        over.wait()
    threading.Thread(target=once.get, args=("key", compute), daemon=True).start()
    begun.wait()
    once.get("key", compute)

threading.Thread(target=interrupt, daemon=True).start()
try:
    {what}(Future())
except KeyboardInterrupt:
    print("ended")
"""


@pytest.mark.parametrize("what", ["wait", "fetch", "ask"])
def test_ends_the_wait(what: str) -> None:
    line = [sys.executable, "-c", _SCRIPT.format(what=what)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("ended\n", "")
