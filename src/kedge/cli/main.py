"""The program's first moments: ``--version`` is answered at once, everything else is imported.

The one place that reads ``os.environ`` and ``sys.argv``. What a command line means, and what comes
of it, is :mod:`kedge.cli.run`'s business; nothing is imported here that ``--version`` can do
without.
"""

from __future__ import annotations

import _thread
import gc
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from typing import NoReturn


def script() -> None:
    """The ``kedge`` program."""
    leave(program())


def program(*, launched_as_module: bool = False) -> int:
    """The process's own words and environment, and its exit code."""
    argv = sys.argv[1:]
    if not _asks_for_version(argv):
        # A short life with few cycles: at Python's own threshold (700 new objects) collecting
        # takes a tenth of a run that finds nothing to do, most of it while modules are imported.
        # Modules are 60,000 objects, a resolution of 175 packages 170,000, and none is garbage;
        # nor are the manifests of what it chose, 100,000 more.
        gc.set_threshold(500_000, 20, 20)
        end_tidily_on_signals()
    try:
        code = main(argv, environ=os.environ, launched_as_module=launched_as_module)
    except KeyboardInterrupt:  # while modules were imported; of what comes after, run() tells
        print("error: Interrupted.", file=sys.stderr)  # noqa: T201 - there is no console yet
        code = 1
    if "signal" in sys.modules:  # not for --version
        _end_at_once_on_signals()
    # What is left goes with the process: a last collection costs time, and CPython 3.12.1 crashes
    # in it after keyring was imported.
    gc.freeze()
    return code


def leave(code: int) -> NoReturn:
    """End the process as :func:`sys.exit` does, without taking the interpreter apart first: that
    costs up to 10 ms, and what it frees goes with the process. Where a thread still runs, or what
    was written cannot be had through, Python ends in its own way, which waits or says so.
    """
    import atexit

    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        atexit._run_exitfuncs()
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except (OSError, ValueError):
            sys.exit(code)
        os._exit(code)
    sys.exit(code)


def main(
    argv: Sequence[str], *, environ: Mapping[str, str], launched_as_module: bool = False
) -> int:
    """Run one command line; the exit code (0 done, 1 failed, 2 usage, 3 bad setting)."""
    if _asks_for_version(argv):
        return _say_version()
    from kedge.cli.run import run

    return run(argv, environ=environ, launched_as_module=launched_as_module)


def ending_signals() -> list[signal.Signals]:
    """Those that tell a process to end, as far as this system has them."""
    import signal

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def end_tidily_on_signals() -> None:
    """Being told to end is like Ctrl-C: what was begun is undone, temporary folders go.

    None is lost. What a signal raises while Python removes an object, and nearly every import has
    a callback there, is printed and forgotten: such a one is sent once more.
    """
    import signal

    heard = signal.SIGINT
    main_thread = _thread.get_ident()

    def interrupt(number: int, _: object) -> None:
        nonlocal heard
        heard = signal.Signals(number)
        raise KeyboardInterrupt

    def send_again() -> None:
        time.sleep(0.01)  # until then the object has gone; if not, it is forgotten and sent again
        if sys.platform == "win32":
            _thread.interrupt_main(heard)
        else:
            signal.pthread_kill(main_thread, heard)  # ends a wait, too

    def look(forgotten: sys.UnraisableHookArgs) -> None:
        if issubclass(forgotten.exc_type, KeyboardInterrupt):
            _thread.start_new_thread(send_again, ())
        else:
            sys.__unraisablehook__(forgotten)

    for number in ending_signals():
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupt)
    sys.unraisablehook = look


def _end_at_once_on_signals() -> None:
    """All is done and said: a signal has nothing left to undo, and no traceback to show."""
    import signal

    for number in ending_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)


def version_line() -> str:
    """Which kedge this is, where it is, and the Python that runs it."""
    from kedge import __version__

    where = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
    return f"kedge {__version__} from {where} (python {sys.version_info[0]}.{sys.version_info[1]})"


def discard_stdout() -> None:
    """Whoever read our output has gone; Python would complain once more when it exits."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _asks_for_version(argv: Sequence[str]) -> bool:
    return list(argv) in (["--version"], ["-V"])


def _say_version() -> int:
    try:
        print(version_line(), flush=True)  # noqa: T201 - a console is 30 ms away
    except BrokenPipeError:
        discard_stdout()
        return 1
    return 0
