"""Stops a Python child of a test that would connect to a host outside this machine.

Python runs this file at start-up because its folder is on ``PYTHONPATH``. It must cost next to
nothing, so it imports nothing new: the rules of :class:`support.surroundings.Guard`, restated in
plain string terms.
"""

import os
import sys


def _is_local(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not host or not isinstance(host, str):
        return True
    host = host.rstrip(".")
    if host in ("localhost", "::1") or host.endswith((".invalid", ".localhost")):
        return True
    return host.startswith("127.") and host.replace(".", "").isdigit()


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host: object = address[0] if isinstance(address, tuple) else ""
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if not _is_local(host):
        # Nothing may swallow it, in whatever thread: the exit code is the test's to find.
        sys.stderr.write(f"test guard: {host!r} is outside this machine\n")
        sys.stderr.flush()
        os._exit(97)


sys.addaudithook(_audit)
