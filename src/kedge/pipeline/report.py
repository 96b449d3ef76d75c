"""``--report``: pip's installation report (version 1), plus the trust behind each file.

https://pip.pypa.io/en/stable/reference/installation-report/ describes the format; the key
``kedge`` is ours, with a schema version of its own. Pure: values in, JSON out.
"""

from __future__ import annotations

import re
from email import message_from_string
from email.policy import compat32
from typing import TYPE_CHECKING, Any

from kedge import __version__
from kedge.index import IndexFile
from kedge.install.records import direct_url_data
from kedge.model import DirectUrl, strip_secrets

if TYPE_CHECKING:
    from kedge.model import TrustDecision
    from kedge.pipeline.install import Described, Outcome
    from kedge.resolve import Pin

#: Raised when a key under ``kedge`` changes its meaning.
SCHEMA = 1


def report(outcome: Outcome) -> dict[str, Any]:
    """The report as JSON values."""
    described = outcome.described or {}
    return {
        "version": "1",
        "pip_version": f"kedge {__version__}",
        "install": [
            _entry(pin, pin.file, described[pin.name])
            for pin in outcome.resolution.to_install
            if isinstance(pin.file, IndexFile) and pin.name in described
        ],
        "environment": dict(outcome.markers),
        "kedge": {"schema": SCHEMA, "version": __version__, "trust": _trust(outcome.decision)},
    }


def _entry(pin: Pin, file: IndexFile, described: Described) -> dict[str, Any]:
    origin = described.origin or DirectUrl(
        url=strip_secrets(file.url), archive_hashes=dict(pin.hashes)
    )
    entry: dict[str, Any] = {
        "download_info": direct_url_data(origin),
        "is_direct": pin.direct is not None,
        "is_yanked": file.yanked is not None,
        "requested": pin.requested,
        "metadata": metadata_as_json(described.metadata),
        "kedge": {"index": file.index or None, "page_verified": file.page_verified},
    }
    if pin.requested and pin.extras:
        entry["requested_extras"] = sorted(pin.extras)
    return entry


def _trust(decision: TrustDecision) -> dict[str, Any]:
    return {
        "sources": [
            {
                "kind": source.kind.value,
                "path": source.path,
                "origin": str(source.origin),
                "extra": source.extra,
            }
            for source in decision.sources
        ],
        "overridden": [
            {"setting": str(lost.setting.origin), "value": lost.setting.value, "by": str(lost.by)}
            for lost in decision.overridden
        ],
        "strict": decision.strict.value,
    }


_MULTIPLE = frozenset(
    {
        "platform", "supported-platform", "classifier", "requires-dist", "requires-external",
        "project-url", "provides-extra", "provides-dist", "obsoletes-dist", "requires",
        "provides", "obsoletes", "dynamic", "license-file", "import-name", "import-namespace",
    }
)  # fmt: skip


def metadata_as_json(data: bytes) -> dict[str, Any]:
    """Core metadata as PEP 566 turns it into JSON.

    >>> metadata_as_json(b"Name: spam\\nKeywords: a,b\\nRequires-Dist: eggs\\n\\nHello")
    {'name': 'spam', 'keywords': ['a', 'b'], 'requires_dist': ['eggs'], 'description': 'Hello'}
    """
    message = message_from_string(data.decode("utf-8", "replace"), policy=compat32)
    found: dict[str, Any] = {}
    for field in dict.fromkeys(name.lower() for name in message):
        key = field.replace("-", "_")
        values = [str(value) for value in message.get_all(field, [])]
        if field in _MULTIPLE:
            found[key] = values
        elif field == "keywords":
            found[key] = re.split(r"[,\s]+", values[0].strip()) if values[0].strip() else []
        else:
            found[key] = values[0]
    payload = message.get_payload()
    if isinstance(payload, str) and payload.strip():
        found["description"] = payload
    return found
