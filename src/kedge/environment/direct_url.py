"""``direct_url.json``: where a distribution that came from no index came from (PEP 610).

Text in, values out, and the way such a distribution is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kedge.model import DirectUrl


def parse_direct_url(text: str) -> DirectUrl | None:
    """``None`` when the text is not what PEP 610 describes (pip passes over such a file too)."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or not isinstance(data.get("url"), str):
        return None
    kinds = [key for key in ("vcs_info", "archive_info", "dir_info") if key in data]
    subdirectory = data.get("subdirectory")
    if len(kinds) != 1 or not isinstance(data[kinds[0]], dict):
        return None
    if subdirectory is not None and not isinstance(subdirectory, str):
        return None
    info: dict[str, Any] = data[kinds[0]]
    match kinds[0]:
        case "vcs_info":
            return _from_vcs(data["url"], info, subdirectory)
        case "archive_info":
            hashes = _hashes(info)
            return DirectUrl(data["url"], archive_hashes=hashes, subdirectory=subdirectory)
        case _ if not data["url"].startswith("file:"):
            return None  # a folder of another machine
        case _:
            editable = info.get("editable") is True
            return DirectUrl(
                data["url"], directory=True, editable=editable, subdirectory=subdirectory
            )


def _from_vcs(url: str, info: Mapping[str, Any], subdirectory: str | None) -> DirectUrl | None:
    vcs, commit = info.get("vcs"), info.get("commit_id")
    if not isinstance(vcs, str) or not isinstance(commit, str):
        return None
    revision = info.get("requested_revision")
    return DirectUrl(
        url,
        vcs=vcs,
        commit_id=commit,
        requested_revision=revision if isinstance(revision, str) else None,
        subdirectory=subdirectory,
    )


def _hashes(info: Mapping[str, Any]) -> dict[str, str]:
    hashes = info.get("hashes")
    if isinstance(hashes, dict):
        return {str(name): str(digest) for name, digest in hashes.items()}
    algorithm, _, digest = str(info.get("hash") or "").partition("=")  # the older form
    return {algorithm: digest} if digest else {}


def reference(direct_url: DirectUrl, name: str) -> str:
    """The requirement that would fetch it again (PEP 440, direct references), as pip writes it.

    >>> reference(DirectUrl("https://x.example/a.zip", archive_hashes={"sha256": "00"}), "a")
    'a @ https://x.example/a.zip#sha256=00'
    """
    url = direct_url.url
    fragments = []
    if direct_url.vcs is not None:
        url = f"{direct_url.vcs}+{url}@{direct_url.commit_id}"
    elif direct_url.archive_hashes:
        # Some tools record the URL with the digest that it was asked for with.
        url = url.partition("#")[0]
        algorithm, digest = next(iter(direct_url.archive_hashes.items()))
        fragments.append(f"{algorithm}={digest}")
    if direct_url.subdirectory:
        fragments.append(f"subdirectory={direct_url.subdirectory}")
    return f"{name} @ {url}" + ("#" + "&".join(fragments) if fragments else "")
