"""What is going on, while it goes on: one display for every download of a run.

On a terminal one line of ``rich`` shows files and bytes together; elsewhere each large file gets a
plain line when it has arrived. ``rich`` is imported when the first bar is drawn, not before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from kedge.cli.console import DETAIL, NORMAL, Console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: Files from this size on are worth a line of their own in plain output, in bytes.
LARGE = 5_000_000


def human_size(count: float) -> str:
    """Bytes as people read them, in powers of ten as pip prints them: ``12.3 MB``."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


class Display(Protocol):
    """One way of showing downloads."""

    def started(self, name: str, size: int | None) -> None: ...
    def advanced(self, name: str, count: int) -> None: ...
    def finished(self, name: str, size: int) -> None: ...
    def aside(self) -> AbstractContextManager[None]: ...
    def close(self) -> None: ...


class PlainDisplay:
    """A line for each file that has arrived: large ones always, others with ``-v``."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def started(self, name: str, size: int | None) -> None:
        pass

    def advanced(self, name: str, count: int) -> None:
        pass

    def finished(self, name: str, size: int) -> None:
        level = NORMAL if size >= LARGE else DETAIL
        self._console.say(f"Downloaded {name} ({human_size(size)})", level=level)

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        pass


class RawDisplay(PlainDisplay):
    """``--progress-bar raw``, for programs: ``Progress DONE of TOTAL``, in bytes over all files."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._done = 0
        self._total = 0

    def started(self, name: str, size: int | None) -> None:
        self._total += size or 0

    def advanced(self, name: str, count: int) -> None:
        self._done += count
        self._console.result(f"Progress {self._done} of {self._total}")


class NoDisplay(PlainDisplay):
    """``--progress-bar off``: nothing but what ``-v`` asks for."""

    def finished(self, name: str, size: int) -> None:
        self._console.detail(f"Downloaded {name} ({human_size(size)})")


class BarDisplay:
    """One line on a terminal: files, bytes, speed. It disappears when all is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._files = 0
        self._arrived = 0
        self._total = 0

    def started(self, name: str, size: int | None) -> None:
        self._files += 1
        self._total += size or 0
        progress, task = self._open()
        progress.update(task, total=self._total or None, description=self._title())

    def advanced(self, name: str, count: int) -> None:
        progress, task = self._open()
        progress.update(task, advance=count)

    def finished(self, name: str, size: int) -> None:
        self._arrived += 1
        progress, task = self._open()
        progress.update(task, description=self._title())
        if self._arrived == self._files:
            self.close()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The line is gone as long as this lasts."""
        progress = self._progress
        if progress is not None:
            progress.stop()
        try:
            yield
        finally:
            if progress is not None:
                progress.start()

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None
            self._console.holder = None
            self._files = self._arrived = self._total = 0

    def _title(self) -> str:
        return f"Downloading {self._arrived}/{self._files}"

    def _open(self) -> tuple[Progress, TaskID]:
        if self._progress is None or self._task is None:
            from rich import console as rich_console
            from rich import progress as bars

            self._progress = bars.Progress(
                bars.TextColumn("{task.description}"),
                bars.BarColumn(),
                bars.DownloadColumn(),
                bars.TransferSpeedColumn(),
                console=rich_console.Console(
                    file=self._console.stderr, no_color=not self._console.color
                ),
                transient=True,
            )
            self._task = self._progress.add_task(self._title(), total=None)
            self._progress.start()
            # Lines printed meanwhile go above the bar instead of through it.
            printer = self._progress.console.print
            self._console.holder = lambda text: printer(
                text, markup=False, highlight=False, soft_wrap=True
            )
        return self._progress, self._task


class Downloads:
    """The display behind a lock: downloads run in several threads."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._lock = threading.RLock()
        self._counts: dict[str, int] = {}

    def started(self, name: str, size: int | None) -> None:
        with self._lock:
            self._counts[name] = 0
            self._display.started(name, size)

    def advanced(self, name: str, done: int) -> None:
        """``done`` bytes in all have arrived: fewer than before after a restart."""
        with self._lock:
            count = done - self._counts.get(name, 0)
            self._counts[name] = done
            self._display.advanced(name, count)

    def finished(self, name: str) -> None:
        with self._lock:
            self._display.finished(name, self._counts.pop(name, 0))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Nothing is shown as long as this lasts: a question has the terminal."""
        with self._lock, self._display.aside():
            yield

    def close(self) -> None:
        with self._lock:
            self._display.close()


def choose_display(console: Console, kind: str) -> Display:
    """The display for ``--progress-bar`` ``kind``: ``auto``, ``on``, ``off`` or ``raw``."""
    if kind == "raw":
        return RawDisplay(console)
    if kind == "off" or console.verbosity < NORMAL:
        return NoDisplay(console)
    if console.stderr.isatty():
        return BarDisplay(console)
    return PlainDisplay(console)
