"""A check-up as one web page: to be read, printed, and sent to whoever can help.

Self-contained: no script, nothing from elsewhere, and a policy in it that forbids both. It says
nothing by colour alone. The user's home folder is written ``~``; credentials never came this far.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from kedge.diagnose import chart, overview, sentences
from kedge.diagnose.checkup import Checkup, Peer
from kedge.diagnose.markup import Html, element, joined

if TYPE_CHECKING:
    from kedge.diagnose.remedies import Remedy
    from kedge.diagnose.report import Diagnosis

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render(checkup: Checkup, *, home: str = "") -> str:
    """The whole page. ``home`` is the user's home folder, which is not to be told."""
    title = "An install would work" if checkup.works else "An install would not work"
    return document(
        title, _header(checkup, title), _sections(checkup), made_by(checkup.about), home=home
    )


def document(
    title: str,
    header: Iterable[Html],
    sections: Iterable[Html],
    footer: Iterable[Html],
    *,
    home: str,
) -> str:
    """One self-contained page of these parts."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"kedge doctor: {title.lower()}"),
        element("style", Html(_style())),
    )
    body = element(
        "body",
        element("header", *header),
        element("main", *sections),
        element("footer", *footer),
    )
    text = f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"
    return _without_home(text, home)


def _style() -> str:
    return files("kedge.diagnose").joinpath("page.css").read_text("utf-8")


def _without_home(text: str, home: str) -> str:
    """``~`` for the home folder, which holds the user's name; the root folder is nobody's."""
    shown = escape(home.rstrip("/\\"), quote=False)
    if len(shown) < 2:
        return text
    return re.sub(rf"(?<![\w/\\.-]){re.escape(shown)}(?![\w.-])", "~", text)


# --------------------------------------------------------------------------------------------
# The parts of the page


def _header(checkup: Checkup, title: str) -> Iterator[Html]:
    yield element("p", "kedge doctor", class_="brand")
    failing = [peer for peer in checkup.peers if not peer.works]
    unverified = any(overview.state(peer) == "ok?" for peer in checkup.peers)
    told = "Every connection that an install needs was made"
    told += ", and not every one was verified." if unverified else " and verified."
    if failing:
        hosts = ", ".join(dict.fromkeys(peer.host for peer in failing))
        codes = dict.fromkeys(code for peer in failing for code in _codes(peer))
        told = f"It would fail at {hosts}: {', '.join(codes)}."
    if not checkup.peers:
        told = "With these settings it connects to nothing."
    yield banner(f"{title} with these settings", told, good=checkup.works)
    told = f"Examined on {moment_of(checkup.about)}, in {checkup.seconds:.1f} seconds."
    yield element("p", told, class_="soft")


def banner(title: str, told: str, *, good: bool) -> Html:
    """The verdict, in a box at the top."""
    mark, mood = ("✓", "good") if good else ("✕", "bad")
    heading = element("h1", f"{mark} {title}")
    return element("div", heading, element("p", told), class_=f"verdict {mood}")


def moment_of(about: Mapping[str, str]) -> str:
    """When it was, as people write it."""
    return about.get("time", "").replace("T", " ").replace("+00:00", " UTC")


def _codes(peer: Peer) -> list[str]:
    blocking = [remark.code.value for remark in peer.remarks if remark.blocks]
    return [*(peer.diagnosis.codes if peer.diagnosis else ()), *blocking]


def _sections(checkup: Checkup) -> Iterator[Html]:
    if checkup.peers:
        rows = (_peer(peer) for peer in checkup.peers)
        yield section("asked", "Who was asked", element("ul", *rows, class_="peers"))
    yield section("trusted", "What is trusted", *_trusted(checkup))
    notes = overview.notes(checkup.peers)
    if notes or checkup.warnings:
        told = [f"{', '.join(hosts)}: {remark.sentence}" for remark, hosts in notes]
        items = (element("li", each) for each in (*told, *checkup.warnings))
        yield section("notes", "Worth a word", element("ul", *items))
    for number, group in enumerate(checkup.groups, start=1):
        yield _problem(number, group)
    for number, sound in enumerate(_sound(checkup), start=1):
        yield _soundness(number, sound)


def section(name: str, title: str, *children: Html | None) -> Html:
    """A part of the page under a heading of its own; ``name`` is unique on the page."""
    heading = element("h2", title, id=name)
    return element("section", heading, *children, aria_labelledby=name)


def _peer(peer: Peer) -> Html:
    state = overview.state(peer)
    mood = {"ok": "good", "FAILS": "bad"}.get(state, "warn")
    told = overview.summary(peer)
    return element(
        "li",
        element("span", {"ok": "works", "ok?": "unverified"}.get(state, "fails"), class_="badge"),
        element("span", peer.part.value),
        element("strong", peer.url),
        element("p", peer.because, class_="soft"),
        element("p", told) if told else None,
        *(_blocking(peer)),
        class_=mood,
    )


def _blocking(peer: Peer) -> Iterator[Html]:
    for remark in peer.remarks:
        if remark.blocks:
            yield element("p", f"{remark.code.value}: {remark.sentence}")
            if remark.hint:
                yield element("p", remark.hint)


def _trusted(checkup: Checkup) -> Iterator[Html]:
    sources = checkup.decision.sources
    yield element("p", "These sources of trust are in force, and nothing else:")
    yield element("ul", *(element("li", str(source)) for source in sources))
    lost = checkup.decision.overridden
    if lost:
        yield element("p", "Set, and not in force:")
        items = (f"{each.setting.value} ({each.setting.origin}): {each.by} wins" for each in lost)
        yield element("ul", *(element("li", item) for item in items))


# --------------------------------------------------------------------------------------------
# One problem, or one sound chain


def _problem(number: int, group: Sequence[Peer]) -> Html:
    diagnosis = group[0].diagnosis
    if diagnosis is None:
        return joined()
    hosts = ", ".join(dict.fromkeys(peer.host for peer in group))
    return section(
        f"problem-{number}",
        f"✕ {hosts}: {', '.join(diagnosis.codes)}",
        chart.route(diagnosis),
        element("h3", "Why"),
        element("ul", *(_cause(diagnosis))),
        # Remedies speak of the certificates "above".
        *_titled("The chain that was presented", chart.chain(diagnosis)),
        *_titled("What to do", _remedies(diagnosis.remedies)),
        *_titled("Which stores would vouch", chart.stores(diagnosis)),
    )


def _titled(title: str, content: Html | None) -> Iterator[Html]:
    if content:
        yield element("h3", title)
        yield content


def _cause(diagnosis: Diagnosis) -> Iterator[Html]:
    for finding in diagnosis.findings:
        code = element("strong", f"{finding.cause.value}: ")
        yield element("li", code, sentences.sentence(finding))


def _remedies(remedies: Sequence[Remedy]) -> Html | None:
    if not remedies:
        return None
    return element("ol", *(_remedy(remedy) for remedy in remedies), class_="remedies")


def _remedy(remedy: Remedy) -> Html:
    return element(
        "li",
        element("p", remedy.what),
        element("p", f"Risk: {remedy.risk}", class_="risk") if remedy.risk else None,
        element("ul", *(element("li", step) for step in remedy.first)) if remedy.first else None,
        _commands(remedy.commands),
        element("blockquote", remedy.to_operator) if remedy.to_operator else None,
        element("p", "To make it last:") if remedy.lasting else None,
        _commands(remedy.lasting),
    )


def _commands(commands: Sequence[str]) -> Html | None:
    return element("pre", element("code", "\n".join(commands))) if commands else None


def _sound(checkup: Checkup) -> list[list[Peer]]:
    """The peers with a chain and nothing to explain, those with the same chain together."""
    explained = {id(peer) for group in checkup.groups for peer in group}
    found: dict[object, list[Peer]] = {}
    for peer in checkup.peers:
        chain = peer.diagnosis.chain if peer.diagnosis else None
        if id(peer) not in explained and chain is not None and chain.certificates:
            key = tuple(each.sha256 for each in chain.certificates)
            found.setdefault(key, []).append(peer)
    return list(found.values())


def _soundness(number: int, group: Sequence[Peer]) -> Html:
    diagnosis = group[0].diagnosis
    if diagnosis is None:
        return joined()
    hosts = ", ".join(dict.fromkeys(peer.host for peer in group))
    mark = "✓" if all(peer.works for peer in group) else "✕"
    return section(
        f"sound-{number}",
        f"{mark} {hosts}",
        chart.route(diagnosis),
        *_titled("The chain that was presented", chart.chain(diagnosis)),
        *_titled("Which stores would vouch", chart.stores(diagnosis)),
    )


_MADE_BY = (("kedge ", "kedge"), ("Python ", "python"), ("", "openssl"), ("", "platform"))


def made_by(about: Mapping[str, str]) -> Iterator[Html]:
    """The footer."""
    made = ", ".join(f"{name}{about[key]}" for name, key in _MADE_BY if key in about)
    yield element("p", f"Made by {made}.")
    yield element(
        "p",
        "There are no credentials in this report. A certificate's SHA-256 fingerprint is to be "
        "compared with what its owner says by another way.",
    )
