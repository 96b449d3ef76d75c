"""Linted bundles as one web page, in the form of :mod:`.page`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kedge.diagnose import linted
from kedge.diagnose.chart import pairs
from kedge.diagnose.lint import Defect, Level, Linted
from kedge.diagnose.markup import Html, element
from kedge.diagnose.page import banner, document, made_by, moment_of, section

_MOODS = {Level.ERROR: "bad", Level.WARNING: "warn", Level.NOTE: "good"}


def render(sources: Sequence[Linted], about: Mapping[str, str], *, home: str = "") -> str:
    """The whole page. ``home`` is the user's home folder, which is not to be told."""
    broken = any(each.broken for each in sources)
    title = "A certificate bundle is broken" if broken else "No certificate bundle is broken"
    header = (
        element("p", "kedge doctor", class_="brand"),
        banner(title, linted.verdict(sources), good=not broken),
        element("p", f"Read on {moment_of(about)}. Nobody was contacted.", class_="soft"),
    )
    parts = (_source(number, each) for number, each in enumerate(sources, start=1))
    return document(title, header, parts, made_by(about), home=home)


def _source(number: int, source: Linted) -> Html:
    name = str(source.source)
    state = "" if source.in_force else ", not in force"
    return section(
        f"source-{number}",
        f"{'✕' if source.broken else '✓'} {name[:1].upper()}{name[1:]}{state}",
        element("p", linted.held(source)),
        element("ul", *(_defect(each, source) for each in source.defects), class_="stores")
        if source.defects
        else None,
    )


def _defect(defect: Defect, source: Linted) -> Html:
    return element(
        "li",
        element("span", defect.level.value, class_=f"badge {_MOODS[defect.level]}"),
        element("span", element("strong", f"{defect.flaw.value}: "), defect.sentence),
        *(element("p", text, class_="soft") for text in _more(defect, source)),
        element("p", *pairs(defect.certificate.fingerprint), class_="print soft")
        if defect.certificate
        else None,
    )


def _more(defect: Defect, source: Linted) -> Iterator[str]:
    if defect.hint:
        yield defect.hint
    if defect.block:
        yield linted.place(defect, source)
    if defect.certificate is not None:
        yield "SHA-256"
