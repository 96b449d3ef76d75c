"""What an examination of several peers came to: the value, what is worth a word, the JSON.

Which peers there are, and the requests that tell whether an index is one, are the pipeline's; why
a connection fails is in each peer's diagnosis. Here it is put together and said, and nothing is
contacted; :mod:`.overview` has the text. The JSON's ``version`` grows when a field changes its
meaning or goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from kedge.classes import field, frozen, replace
from kedge.diagnose import report
from kedge.diagnose.causes import interception
from kedge.diagnose.comparison import Role
from kedge.diagnose.report import Diagnosis
from kedge.model import TrustDecision

JSON_VERSION = 1
#: A certificate that ends within this time is worth a word.
SOON = timedelta(days=14)


class Part(str, Enum):
    """What a peer is to an install; the values are stable."""

    INDEX = "index"
    FIND_LINKS = "find-links"
    FILES = "files"
    REDIRECT = "redirect"
    URL = "url"
    PROXY = "proxy"


class RemarkCode(str, Enum):
    """What there is to say beside causes; the values are stable."""

    CREDENTIALS = "credentials"
    STATUS = "status"
    NO_PAGE = "no-page"
    FAILED = "failed"
    FILES_UNKNOWN = "files-unknown"
    NOT_VERIFIED = "not-verified"
    INTERCEPTED = "intercepted"
    STRICT = "strict"
    EXPIRES_SOON = "expires-soon"


@frozen(kw_only=True)
class Remark:
    """One sentence about a peer. ``blocks``: with it, no install gets through."""

    code: RemarkCode
    sentence: str
    hint: str = ""
    blocks: bool = False


@frozen(kw_only=True)
class Peer:
    """One party that an install talks to.

    ``url`` is redacted. ``because`` is the setting or the page that names it. ``read`` says in
    words what it served. ``reached``: what an install asks of it was asked, and came.
    ``diagnosis`` is ``None`` where no connection was examined.
    """

    part: Part
    url: str
    because: str
    read: str = ""
    reached: bool = False
    diagnosis: Diagnosis | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def works(self) -> bool:
        """Whether an install would get through here."""
        if any(remark.blocks for remark in self.remarks):
            return False
        return self.reached or self.diagnosis is None or self.diagnosis.sound

    @property
    def host(self) -> str:
        """Host and port, or the address as it stands."""
        peer = self.diagnosis.peer if self.diagnosis else None
        return peer.hostport if peer else self.url


@frozen(kw_only=True)
class Checkup:
    """The whole of it. ``about`` are facts of the machine: versions, the moment (ISO 8601, UTC)."""

    decision: TrustDecision
    peers: tuple[Peer, ...]
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def works(self) -> bool:
        """Whether an install would work with the settings in force."""
        return all(peer.works for peer in self.peers)

    @property
    def groups(self) -> tuple[tuple[Peer, ...], ...]:
        """The peers with something to explain; those with one cause and one remedy together."""
        found: dict[object, list[Peer]] = {}
        for peer in self.peers:
            if peer.diagnosis is not None and peer.diagnosis.findings and not peer.reached:
                found.setdefault(_sameness(peer.diagnosis), []).append(peer)
        return tuple(tuple(group) for group in found.values())


def _sameness(diagnosis: Diagnosis) -> object:
    top = diagnosis.chain.top if diagnosis.chain else None
    peer = diagnosis.peer if diagnosis.hop.value == "proxy" else None
    return (
        diagnosis.codes,
        peer,
        top.issuer if top else "",
        tuple((remedy.kind, remedy.commands, remedy.to_operator) for remedy in diagnosis.remedies),
    )


# --------------------------------------------------------------------------------------------
# What is worth a word where a connection is sound


def remarks_on(diagnosis: Diagnosis, now: datetime) -> Iterator[Remark]:
    """About a peer that is verified with what was decided."""
    evidence = diagnosis.evidence
    if evidence is None or not diagnosis.sound:
        return
    for finding in interception(evidence):
        who = f"{finding.product} opens" if finding.product else "Somebody on the way opens"
        root = diagnosis.vouching
        label = root.label if root else finding.issuer
        yield Remark(
            code=RemarkCode.INTERCEPTED,
            sentence=f"{who} this connection and signs it again. The settings in force trust "
            f"“{label}”, which is no public CA, for it.",
        )
    strict = evidence.verdict(Role.STRICT)
    if strict is not None and strict.failure is not None and strict.verify_code is not None:
        yield Remark(
            code=RemarkCode.STRICT,
            sentence="Strict verification (--strict-certs, and the default of Python 3.13) would "
            f"refuse it: {strict.failure.words or strict.failure.reason}.",
        )
    for each in evidence.chain.links:
        if each.not_after is not None and each.not_after - now < SOON:
            days = max((each.not_after - now).days, 0)
            yield Remark(
                code=RemarkCode.EXPIRES_SOON,
                sentence=f"“{each.label}” expires on {each.not_after:%Y-%m-%d %H:%M} UTC, in "
                f"{days} {'day' if days == 1 else 'days'}.",
            )


# --------------------------------------------------------------------------------------------
# JSON


def as_json(checkup: Checkup) -> dict[str, Any]:
    """Plain values for ``json.dumps``; each peer's ``diagnosis`` is :func:`.report.as_json`'s."""
    decision = checkup.decision
    return {
        "version": JSON_VERSION,
        "works": checkup.works,
        "about": dict(checkup.about),
        "seconds": round(checkup.seconds, 3),
        "trusted": report.sources_json(decision),
        "overridden": report.overridden_json(decision),
        "strict": decision.strict.value,
        "warnings": list(checkup.warnings),
        "peers": [_peer_json(peer) for peer in checkup.peers],
    }


def _peer_json(peer: Peer) -> dict[str, Any]:
    return {
        "part": peer.part.value,
        "url": peer.url,
        "because": peer.because,
        "works": peer.works,
        "reached": peer.reached,
        "read": peer.read or None,
        "remarks": [
            {
                "code": remark.code.value,
                "sentence": remark.sentence,
                "hint": remark.hint or None,
                "blocks": remark.blocks,
            }
            for remark in peer.remarks
        ],
        "diagnosis": report.as_json(peer.diagnosis) if peer.diagnosis else None,
    }


def with_remarks(peer: Peer, remarks: Iterable[Remark]) -> Peer:
    """The peer with more to say."""
    return replace(peer, remarks=(*peer.remarks, *remarks))
