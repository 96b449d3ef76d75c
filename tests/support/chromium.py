"""A headless Chromium, driven over its debugging pipe: no port, no driver, no further package.

::

    with Browser(tool("chromium")) as browser:
        browser.emulate(width=380, dark=True)
        browser.open(path.as_uri())
        browser.evaluate("document.title")

Commands are those of the DevTools protocol: JSON, each ended by a NUL, to its descriptor 3 and
from its descriptor 4.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any


class Browser:
    """One page in a browser of its own, which ends with it."""

    def __init__(self, program: str, *, limit: float = 150) -> None:
        self._limit = limit
        self._number = 0
        self._waiting = b""
        self._events: list[dict[str, Any]] = []
        self._home = tempfile.TemporaryDirectory(
            prefix="kedge-chromium-", ignore_cleanup_errors=True
        )
        theirs, self._out = os.pipe()
        self._in, answers = os.pipe()
        words = [
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            f"--user-data-dir={self._home.name}",
            "about:blank",
        ]
        environ = {**os.environ, "HOME": self._home.name}
        quiet = os.open(os.devnull, os.O_RDWR)
        # The descriptors move out of the way first: 3 and 4 may be among them.
        moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 5) for fd in (theirs, answers)]
        actions = [
            (os.POSIX_SPAWN_DUP2, quiet, 1),
            (os.POSIX_SPAWN_DUP2, quiet, 2),
            (os.POSIX_SPAWN_DUP2, moved[0], 3),
            (os.POSIX_SPAWN_DUP2, moved[1], 4),
        ]
        self._pid = os.posix_spawn(program, words, environ, file_actions=actions, setpgroup=0)
        for each in (theirs, answers, quiet, *moved):
            os.close(each)
        # A page of our own: the first one may not be there yet.
        page = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=page, flatten=True)
        self._session: str | None = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._send(f"{domain}.enable")
        self._send("Page.setLifecycleEventsEnabled", enabled=True)

    _session: str | None = None

    def emulate(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """The window's size in pixels, and the user's choice of light or dark."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> list[str]:
        """Load a page; the URLs of everything that it asked for, its own first."""
        self._events.clear()
        loader = self._send("Page.navigate", url=url)["loaderId"]
        # Of this page, and no other's: that of the one before may still be under way. What a script
        # would start has started when nothing has been asked for half a second.
        for name in ("load", "networkIdle"):
            self._until(_reached(loader, name))
        return [
            event["params"]["request"]["url"]
            for event in self._events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        answer = self._send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path) -> None:
        """The page as it is printed."""
        path.write_bytes(base64.b64decode(self._send("Page.printToPDF")["data"]))

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)
        os.killpg(self._pid, signal.SIGKILL)  # it has children, which write to its folder
        os.waitpid(self._pid, 0)
        self._home.cleanup()

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, method: str, **params: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self._events.append(answer)

    def _until(self, seen: Callable[[dict[str, Any]], bool]) -> None:
        while not any(map(seen, self._events)):
            answer = self._next()
            if "method" in answer:
                self._events.append(answer)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + self._limit
        while b"\0" not in self._waiting:
            ready, _, _ = select.select([self._in], [], [], max(end - time.monotonic(), 0))
            data = os.read(self._in, 65536) if ready else b""
            if not data:
                raise TimeoutError("Chromium says nothing, or has gone")
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found


def _reached(loader: str, name: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an event says that this page has come so far."""

    def seen(event: dict[str, Any]) -> bool:
        told: dict[str, Any] = event["params"]
        is_it = event["method"] == "Page.lifecycleEvent"
        return is_it and (told["loaderId"], told["name"]) == (loader, name)

    return seen
