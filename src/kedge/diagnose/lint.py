"""Reads bundles as an install would, and finds what is wrong in them; contacts nobody.

What OpenSSL would let vouch is OpenSSL's verdict (:mod:`.trial`); whether a file is a bundle at all
is :func:`kedge.trust.load`'s. Here both are asked, certificate by certificate, and what they say is
given a code and a level. How it is told is :mod:`.linted`'s.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from kedge import trust
from kedge.classes import field, frozen
from kedge.diagnose import verify
from kedge.diagnose.chain import read_certificate
from kedge.diagnose.facts import CertificateFacts
from kedge.diagnose.trial import Court, Objection
from kedge.errors import TrustError
from kedge.model import StoreKind, TrustDecision, TrustSource
from kedge.trust import contents, openssl, trusted
from kedge.trust.bundle import read_bundle
from kedge.trust.files import UNREADABLE, expand, read_bytes
from kedge.trust.mistakes import MistakeKind
from kedge.trust.pem import Block
from kedge.trust.platform_store import platform_anchors

#: A root is replaced slowly: what ends within this time is worth a warning.
SOON = timedelta(days=90)


class Level(str, Enum):
    """ERROR: it does not do what it is there for. WARNING: it does, and may not for long, or not
    everywhere. NOTE: to be known."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Flaw(str, Enum):
    """The closed set; the values are stable."""

    UNUSABLE = "unusable"
    PRIVATE_KEY = "private-key"
    DAMAGED = "damaged"
    PASSED_OVER = "passed-over"
    NO_CA = "no-ca"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRES_SOON = "expires-soon"
    WEAK_KEY = "weak-key"
    WEAK_SIGNATURE = "weak-signature"
    CANNOT_VOUCH = "cannot-vouch"
    STRICT = "strict"
    LEAF = "leaf"
    INTERMEDIATE = "intermediate"
    DISTRUSTED = "distrusted"
    DUPLICATE = "duplicate"
    SAME_NAME = "same-name"


@frozen(kw_only=True)
class Defect:
    """One finding, a sentence. ``block`` and ``line`` count from 1, where it has a place."""

    flaw: Flaw
    level: Level
    sentence: str
    hint: str = ""
    certificate: CertificateFacts | None = None
    file: str = ""
    block: int | None = None
    line: int | None = None


@frozen(kw_only=True)
class Linted:
    """One source: how many certificates it holds, how many may vouch, and what is wrong."""

    source: TrustSource
    in_force: bool
    certificates: int = 0
    vouching: int = 0
    defects: tuple[Defect, ...] = ()

    @property
    def broken(self) -> bool:
        return any(defect.level is Level.ERROR for defect in self.defects)


@frozen(kw_only=True)
class Rules:
    """What is the same for every source. ``strict``: ``--strict-certs`` is in force."""

    environ: Mapping[str, str]
    now: datetime
    strict: bool = False
    court: Court = field(default_factory=Court)


def lint(source: TrustSource, rules: Rules, *, in_force: bool) -> Linted:
    """Read one source, and judge every certificate in it. Raises nothing for what it finds."""
    found: list[Defect] = []
    held = tuple(_of_bundle(source, rules.environ))
    try:
        anchors = trust.load(TrustDecision((source,)), environ=rules.environ)
    except TrustError as exc:
        refused = True
        found += _refused(exc, held)
    else:
        refused = False
        held = held or tuple(_of_store(anchors))
        found += _passed_over(source, anchors, rules.environ)
    own = source.kind is StoreKind.BUNDLE
    found += _keys_beside(held, Level.ERROR if refused else Level.WARNING)
    judged = [(each, tuple(_judged(each, rules, own=own))) for each in _distinct(held)]
    for _, defects in judged:
        found += defects
    found += _repeated(held, own=own)
    certificates = [each for each, _ in judged if each.facts is not None]
    able = [each for each, defects in judged if each.facts and not _prevents(defects)]
    found += _lacking(certificates, able, own=own)
    return Linted(
        source=source,
        in_force=in_force,
        certificates=len(certificates),
        vouching=len(able),
        defects=tuple(sorted(found, key=lambda each: list(Level).index(each.level))),
    )


# --------------------------------------------------------------------------------------------
# What is there


@frozen
class _Held:
    """One block of one file. Without ``facts`` it is no certificate: ``flaw`` says what it is."""

    file: str
    block: Block
    facts: CertificateFacts | None = None
    flaw: Flaw | None = None

    def defect(self, flaw: Flaw, level: Level, sentence: str, hint: str = "") -> Defect:
        return Defect(
            flaw=flaw,
            level=level,
            sentence=sentence,
            hint=hint,
            certificate=self.facts,
            file=self.file,
            block=self.block.number,
            line=self.block.line or None,
        )


def _held(file: str, block: Block) -> _Held:
    return _Held(file, block, read_certificate(trusted.certificate_der(block)))


def _of_store(anchors: trust.Anchors) -> Iterator[_Held]:
    """certifi's, or the system's."""
    for loaded in anchors.sources:
        for block in platform_anchors() if loaded.by_platform else ():
            yield _held(str(loaded.source), block)
        for file in loaded.files:
            for block in file.blocks:
                yield _held(file.path, block)


def _of_bundle(source: TrustSource, environ: Mapping[str, str]) -> Iterator[_Held]:
    """What can be read of a bundle, also of one that an install refuses."""
    if source.kind is not StoreKind.BUNDLE:
        return
    path = Path(expand(source.path or "", environ))
    try:
        folder = path.is_dir()
        files = sorted(each for each in path.iterdir() if each.is_file()) if folder else [path]
    except UNREADABLE:
        return
    seen: set[Path] = set()  # hashed folders name each file twice
    for file in files:
        real = Path(os.path.realpath(file))
        if real not in seen:
            seen.add(real)
            yield from _of_file(str(file), whole=not folder)


def _of_file(name: str, *, whole: bool) -> Iterator[_Held]:
    """The blocks of one file; those of a folder's file count only where all of it may be used."""
    try:
        found = contents.read(read_bytes(name))
    except UNREADABLE:
        return
    if found.mistake is not None and found.mistake.kind is MistakeKind.PRIVATE_KEY:
        place = Block("PRIVATE KEY", "", found.mistake.block or 1, found.mistake.line or 0)
        yield _Held(name, place, flaw=Flaw.PRIVATE_KEY)
    for block in found.certificates if whole or not found.mistake else ():
        if openssl.judge(block) is None:
            yield _Held(name, block, flaw=Flaw.DAMAGED)
        else:
            yield _held(name, block)
    if found.damaged is not None:
        yield _Held(name, found.damaged, flaw=Flaw.DAMAGED)


def _passed_over(
    source: TrustSource, anchors: trust.Anchors, environ: Mapping[str, str]
) -> Iterator[Defect]:
    """What an install reads past, with a warning."""
    bundle = source.kind is StoreKind.BUNDLE
    for warning in read_bundle(source, environ).warnings if bundle else anchors.warnings:
        sentence = f"{warning}."
        yield Defect(flaw=Flaw.PASSED_OVER, level=Level.WARNING, sentence=sentence)


def _refused(error: TrustError, held: Sequence[_Held]) -> Iterator[Defect]:
    """Why an install refuses the source; a private key and damage have defects of their own."""
    for each in held:
        if each.flaw is Flaw.DAMAGED:
            why = each.block.flaw or "OpenSSL cannot read it"
            yield each.defect(Flaw.DAMAGED, Level.ERROR, f"This block is damaged: {why}.")
    if not any(each.flaw for each in held):
        yield Defect(
            flaw=Flaw.UNUSABLE,
            level=Level.ERROR,
            sentence=error.message.rstrip(".") + ".",
            hint=error.hint or "",
        )


def _keys_beside(held: Sequence[_Held], level: Level) -> Iterator[Defect]:
    """Private keys; in a folder a file with one is passed over, a bundle with one is refused."""
    for each in held:
        if each.flaw is Flaw.PRIVATE_KEY:
            yield each.defect(
                Flaw.PRIVATE_KEY,
                level,
                "A private key is in this file, which is there to be read by everybody.",
                "Copy only the CERTIFICATE blocks into a file of their own. A key that others "
                "could read should be replaced.",
            )


def _distinct(held: Sequence[_Held]) -> list[_Held]:
    """Each certificate once; of several copies the first."""
    found = {each.facts.sha256: each for each in reversed(held) if each.facts is not None}
    return list(reversed(found.values()))


# --------------------------------------------------------------------------------------------
# One certificate


def _judged(held: _Held, rules: Rules, *, own: bool) -> Iterator[Defect]:
    facts = held.facts
    if facts is None:
        return
    grave = Level.ERROR if own else Level.WARNING
    if trusted.withholds(held.block):
        sentence = f"“{facts.label}” may not vouch for servers: its own trust settings say so."
        yield held.defect(Flaw.DISTRUSTED, Level.NOTE, sentence)
        return
    verdict = openssl.judge(held.block)
    if verdict is not None and not verdict.authorities:
        yield from _leaf(held, facts, rules, grave)
        return
    lax, strictly = _objections(held, facts, rules.court)
    if lax is not None:
        yield _objection(held, facts, lax, grave)
        return
    if strictly is not None:
        level = Level.ERROR if rules.strict else Level.WARNING if own else Level.NOTE
        yield held.defect(
            Flaw.STRICT,
            level,
            f"“{facts.label}” is refused by strict verification (--strict-certs, and the default "
            f"of Python 3.13): {strictly.words}.",
        )
    yield from _ending(held, facts, rules, own=own)
    if not facts.self_issued:
        if facts.signature_hash in {"md5", "sha1"}:
            yield held.defect(
                Flaw.WEAK_SIGNATURE,
                Level.WARNING,
                f"“{facts.label}” is signed with {facts.signature_hash}.",
            )
        sentence = f"“{facts.label}” is an intermediate, and trusted here as if it were a root."
        yield held.defect(Flaw.INTERMEDIATE, Level.NOTE, sentence)


def _objections(
    held: _Held, facts: CertificateFacts, court: Court
) -> tuple[Objection | None, Objection | None]:
    try:
        return court.objections(held.block, facts.der)
    except ValueError:
        return None, None  # a key of a kind that nobody uses: nothing is known against it


_BY_CODE = (
    (frozenset({verify.EXPIRED}), Flaw.EXPIRED),
    (frozenset({verify.NOT_YET_VALID}), Flaw.NOT_YET_VALID),
    (verify.WEAK_KEY, Flaw.WEAK_KEY),
)


def _objection(held: _Held, facts: CertificateFacts, objection: Objection, level: Level) -> Defect:
    flaw = next((flaw for codes, flaw in _BY_CODE if objection.code in codes), Flaw.CANNOT_VOUCH)
    sentence = {
        Flaw.EXPIRED: f"“{facts.label}” expired on {_day(facts.not_after)}.",
        Flaw.NOT_YET_VALID: f"“{facts.label}” is not valid before {_day(facts.not_before)}.",
        Flaw.WEAK_KEY: f"The key of “{facts.label}” is too weak ({facts.key}).",
    }.get(flaw, f"“{facts.label}” cannot vouch for anybody: {objection.words}.")
    return held.defect(flaw, level, sentence)


def _ending(held: _Held, facts: CertificateFacts, rules: Rules, *, own: bool) -> Iterator[Defect]:
    end = facts.not_after
    if end is not None and rules.now <= end < rules.now + SOON:
        days = (end - rules.now).days
        yield held.defect(
            Flaw.EXPIRES_SOON,
            Level.WARNING if own else Level.NOTE,
            f"“{facts.label}” expires on {_day(end)}, in {days} {'day' if days == 1 else 'days'}.",
        )


def _leaf(held: _Held, facts: CertificateFacts, rules: Rules, grave: Level) -> Iterator[Defect]:
    names = ", ".join(facts.names) or "no name"
    yield held.defect(
        Flaw.LEAF,
        Level.WARNING,
        f"“{facts.label}” is a server's own certificate ({names}), and no CA's: it vouches for "
        "itself alone, and has to be replaced whenever the server's is.",
    )
    if facts.not_after is not None and facts.not_after < rules.now:
        sentence = f"“{facts.label}” expired on {_day(facts.not_after)}."
        yield held.defect(Flaw.EXPIRED, grave, sentence)
    yield from _ending(held, facts, rules, own=grave is Level.ERROR)


# --------------------------------------------------------------------------------------------
# All of them together


#: With one of these a certificate vouches for nobody.
_PREVENTING = frozenset(
    {Flaw.EXPIRED, Flaw.NOT_YET_VALID, Flaw.WEAK_KEY, Flaw.CANNOT_VOUCH, Flaw.DISTRUSTED}
)


def _prevents(defects: Sequence[Defect]) -> bool:
    return any(defect.flaw in _PREVENTING for defect in defects)


def _lacking(
    certificates: Sequence[_Held], able: Sequence[_Held], *, own: bool
) -> Iterator[Defect]:
    if not certificates:
        return
    if not able:
        yield Defect(
            flaw=Flaw.CANNOT_VOUCH,
            level=Level.ERROR,
            sentence="No certificate in it can vouch for a server.",
        )
    elif own and not any(each.facts and each.facts.is_ca for each in able):
        yield Defect(
            flaw=Flaw.NO_CA,
            level=Level.WARNING,
            sentence="There is no CA in it that can vouch: only servers whose own certificates "
            "are in it are trusted.",
        )


def _repeated(held: Sequence[_Held], *, own: bool) -> Iterator[Defect]:
    """Copies, and several keys under one name."""
    copies: dict[str, list[_Held]] = {}
    names: dict[str, dict[str, _Held]] = {}
    for each in held if own else ():
        if each.facts is not None:
            copies.setdefault(each.facts.sha256, []).append(each)
            names.setdefault(each.facts.subject, {}).setdefault(each.facts.sha256, each)
    for first, *others in copies.values():
        for other in others:
            label = first.facts.label if first.facts else ""
            sentence = f"“{label}” is there already: {_place(first, other)}."
            yield other.defect(Flaw.DUPLICATE, Level.NOTE, sentence)
    for subject, members in names.items():
        if subject and len(members) > 1:
            first, *rest = members.values()
            label = first.facts.label if first.facts else subject
            sentence = (
                f"{len(members)} certificates bear the name “{label}”: a renewed CA, and the one "
                "before it, perhaps."
            )
            yield rest[-1].defect(Flaw.SAME_NAME, Level.NOTE, sentence)


def _place(first: _Held, other: _Held) -> str:
    return first.block.place if first.file == other.file else f"{first.file}, {first.block.place}"


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "an unknown date"
