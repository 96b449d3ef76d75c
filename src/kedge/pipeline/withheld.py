"""What a download has to tell, kept back until somebody wants to hear of it."""

from __future__ import annotations

import threading

from kedge.errors import KedgeError
from kedge.transport import TransportReporter


class Withheld(TransportReporter):
    """Passes on to the reporter once it is released; warnings pass at once.

    Once abandoned it ends the download at its next piece.
    """

    def __init__(self, reporter: TransportReporter) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()
        self._released = False
        self._abandoned = False
        self._begun: tuple[str, int | None] | None = None
        self._done = 0
        self._finished = False

    def release(self) -> None:
        """Tell from now on, beginning with how far it got."""
        with self._lock:
            if self._released:
                return
            self._released = True
            if self._begun is not None:
                name, size = self._begun
                self._reporter.download_started(name, size)
                self._reporter.download_advanced(name, self._done)
                if self._finished:
                    self._reporter.download_finished(name)

    def abandon(self) -> None:
        """Nobody wants the file any more."""
        self._abandoned = True

    def download_started(self, name: str, size: int | None) -> None:
        with self._lock:
            self._begun = name, size
            self._done, self._finished = 0, False
            if self._released:
                self._reporter.download_started(name, size)

    def download_advanced(self, name: str, done: int) -> None:
        if self._abandoned:
            raise KedgeError(f"{name} is not needed after all.")
        with self._lock:
            self._done = done
            if self._released:
                self._reporter.download_advanced(name, done)

    def download_finished(self, name: str) -> None:
        with self._lock:
            self._finished = True
            if self._released:
                self._reporter.download_finished(name)

    def retrying(self, url: str, reason: str, delay: float) -> None:
        if self._released:
            self._reporter.retrying(url, reason, delay)

    def warn(self, message: str) -> None:
        self._reporter.warn(message)
