"""A check-up as lines of text: each peer in a line or two, then what is wrong, once each.

Nothing is decided here. What fails for one and the same cause is explained once, with the hosts
that it holds for; the verdict comes last, where a terminal shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kedge.diagnose import text
from kedge.diagnose.checkup import Checkup, Peer, Remark, RemarkCode
from kedge.diagnose.text import Line

if TYPE_CHECKING:
    from kedge.diagnose.commands import User

_BLANK = Line("")
#: Where a peer's address begins.
_MARGIN = 17


def layout(checkup: Checkup, user: User | None = None, *, verbose: bool = False) -> Iterator[Line]:
    """The report, to be wrapped and painted. ``verbose``: the chains of sound peers, too."""
    yield Line(str(checkup.decision), "Trusted: ")
    for lost in checkup.decision.overridden:
        setting = f"{lost.setting.value} ({lost.setting.origin}), because of {lost.by}"
        yield Line(setting, "not in force: ", 2)
    yield _BLANK
    for peer in checkup.peers:
        yield from _peer(peer)
    if not checkup.peers:
        yield Line("With these settings an install connects to nothing.")
    for remark, hosts in notes(checkup.peers):
        yield _BLANK
        yield Line(f"{', '.join(hosts)}: {remark.sentence}", "Note: ")
        if remark.hint:
            yield Line(remark.hint, indent=6)
    for group in checkup.groups:
        yield from _group(group, user)
    for peer in checkup.peers if verbose else ():
        if peer.diagnosis is not None and not peer.diagnosis.findings:
            yield _BLANK
            yield from text.layout(peer.diagnosis, among_others=True)
    yield _BLANK
    yield Line(verdict(checkup))


def verdict(checkup: Checkup) -> str:
    """The last line: whether an install would work."""
    failing = [peer for peer in checkup.peers if not peer.works]
    if failing:
        hosts = ", ".join(dict.fromkeys(peer.host for peer in failing))
        return f"An install would not work with these settings: see {hosts}."
    return "An install would work with these settings."


def state(peer: Peer) -> str:
    """One word for a peer: ``ok``, ``FAILS``, or ``ok?`` where nobody verified it."""
    if not peer.works:
        return "FAILS"
    unverified = any(remark.code is RemarkCode.NOT_VERIFIED for remark in peer.remarks)
    return "ok?" if unverified else "ok"


def notes(peers: Iterable[Peer]) -> list[tuple[Remark, list[str]]]:
    """What is worth a word and stops nobody, each with the hosts that it is about."""
    found: dict[str, tuple[Remark, list[str]]] = {}
    for peer in peers:
        for remark in peer.remarks:
            if not remark.blocks:
                _, hosts = found.setdefault(remark.sentence, (remark, []))
                if peer.host not in hosts:
                    hosts.append(peer.host)
    return list(found.values())


def summary(peer: Peer) -> str:
    """Causes, or who vouches; then what it served."""
    diagnosis = peer.diagnosis
    if diagnosis is None:
        return peer.read
    if diagnosis.findings:
        return ", ".join(diagnosis.codes)
    anchor, evidence = diagnosis.vouching, diagnosis.evidence
    spoken = evidence.capture.spoken if evidence else None
    told = (
        f"“{anchor.label}” vouches" if anchor else "",
        spoken.protocol if spoken else "",
        peer.read,
    )
    return ", ".join(filter(None, told))


def _peer(peer: Peer) -> Iterator[Line]:
    yield Line(f"{peer.url} ({peer.because})", f"{state(peer):<6}{peer.part.value:<11}")
    told = summary(peer)
    if told:
        yield Line(told, indent=_MARGIN)
    for remark in peer.remarks:
        if remark.blocks:
            yield Line(remark.sentence, f"{remark.code.value}: ", _MARGIN)
            if remark.hint:
                yield Line(remark.hint, indent=_MARGIN)


def _group(group: tuple[Peer, ...], user: User | None) -> Iterator[Line]:
    first, *others = group
    if first.diagnosis is None:
        return
    yield _BLANK
    yield from text.layout(first.diagnosis, user, among_others=True)
    hosts = dict.fromkeys(each.host for each in others if each.host != first.host)
    if hosts:
        yield _BLANK
        yield Line(f"{', '.join(hosts)}.", "The same holds for ")
