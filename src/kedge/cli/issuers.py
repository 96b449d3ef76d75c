"""``kedge trust fetch-issuer``: what a server forgot to send of its chain, as a file.

It asks the server, and whoever its certificate names; what it saves was verified up to an anchor
that is in force. Nothing is trusted by this alone: the file is, once ``--extra-cert`` names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kedge.cli.diagnosis import surroundings_of
from kedge.errors import KedgeError
from kedge.model import Configured
from kedge.trust import pem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kedge.cli.run import Job
    from kedge.diagnose.bridge import Bridge


def run(job: Job) -> int:
    """Fetch, verify, save, and show what it is; 0 when the file is there."""
    from kedge.diagnose.bridge import find_bridge
    from kedge.pipeline.issuers import fetch_issuer

    word, name = job.settings.arguments
    path = Path(name)
    url = word if "://" in word else f"https://{word}"

    def fetch(where: str) -> bytes:
        job.console.say(f"Fetching {where}")
        return fetch_issuer(where, job.settings)

    bridge = find_bridge(url, surroundings_of(job, Configured()), fetch)
    _save(path, bridge)
    for line in _shown(bridge, name):
        job.console.result(line)
    return 0


def _save(path: Path, bridge: Bridge) -> None:
    """The file whole, or none; one that holds something else is not replaced."""
    text = "".join(
        f"# {each.subject.encode('ascii', 'backslashreplace').decode()}\n{pem.encode(each.der)}"
        for each in bridge.issuers
    )
    try:
        if path.exists() and path.read_text("ascii", errors="replace") == text:
            return
        with path.open("x", encoding="ascii") as file:
            file.write(text)
    except FileExistsError as exc:
        raise KedgeError(
            f"{path} is there already, and holds something else.", hint="Choose another name."
        ) from exc
    except OSError as exc:
        raise KedgeError(f"{path} cannot be written: {exc.strerror}.") from exc


def _shown(bridge: Bridge, name: str) -> Iterator[str]:
    for issuer, url in zip(bridge.issuers, bridge.urls, strict=True):
        yield f"{issuer.subject}"
        yield f"  from {url}"
        if issuer.not_after is not None:
            yield f"  valid until {issuer.not_after:%Y-%m-%d}"
        yield f"  SHA-256 {issuer.fingerprint}"
    yield f"Vouched for by {bridge.anchor.subject}, which is trusted already"
    yield f"  SHA-256 {bridge.anchor.fingerprint}"
    yield f"Saved in {name}. It counts where --extra-cert names it."
