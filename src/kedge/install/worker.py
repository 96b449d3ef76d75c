"""What runs in a process that unpacks: a line with a job in, a line with its outcome out.

Started by :mod:`kedge.install.workers`, which it must not outlive: when its input ends it stops
at once, in the middle of a job too, and leaves nothing behind. An error that it does not expect
ends it; who asked then does the job without it, and meets the error there.
"""

from __future__ import annotations

import _thread
import gc
import json
import os
import signal
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from kedge.cache import WheelStore
from kedge.cache.atomic import Scratch
from kedge.errors import CacheError, WheelError
from kedge.install.arriving import Ahead
from kedge.install.unpack import unpack_into

_STDIN, _STDOUT = 0, 1
_PIECE = 1 << 16


def work() -> None:
    """Answer each job, one after the other, until the input ends; then end the process."""
    gc.set_threshold(200_000, 20, 20)  # a wheel leaves many tuples and no cycles
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    jobs: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    try:
        while (line := jobs.get()) is not None:
            os.write(_STDOUT, json.dumps(_outcome(json.loads(line))).encode() + b"\n")
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    os._exit(0)  # taking the interpreter apart costs as much as a small wheel


def _read(jobs: SimpleQueue[bytes | None]) -> None:
    """Pass the lines on as they come; at the end interrupt what is being done."""
    pending = b""
    while piece := os.read(_STDIN, _PIECE):
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            jobs.put(line)
    jobs.put(None)
    _thread.interrupt_main()


def _outcome(job: dict[str, Any]) -> dict[str, object]:
    store = WheelStore(Path(job["folder"]), Scratch(Path(job["scratch"])))
    try:
        unpack_into(
            store,
            job["sha256"],
            Path(job["archive"]),
            filename=job["filename"],
            ahead=[Ahead(*each) for each in job["ahead"]],
        )
    except WheelError as exc:
        return {
            "refused": exc.message,
            "wheel": exc.wheel,
            "problems": exc.problems,
            "hint": exc.hint,
        }
    except CacheError as exc:
        return {"failed": exc.message, "hint": exc.hint}
    return {}
