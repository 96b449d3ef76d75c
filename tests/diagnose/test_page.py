"""The page: what is on it, that nothing breaks out of it, and how a browser has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from diagnose import zoo
from diagnose.zoo import Keeper, sent_with
from kedge import diagnose
from kedge.diagnose.checkup import Checkup, Part, Peer, Remark, RemarkCode, remarks_on
from kedge.diagnose.diagnosis import diagnose_url
from kedge.diagnose.lint import Rules, lint
from kedge.diagnose.lint_page import render as render_lint
from kedge.diagnose.page import render
from kedge.model import StoreKind, TrustSource
from support import pki
from support.chromium import Browser
from support.surroundings import tool

pytestmark = pytest.mark.once

HOSTILE = "</title></style><script>document.title='owned'</script><img src=x onerror=1>\"'&"


class Reader(HTMLParser):
    """Every element with its attributes, and the text; elements must close as they opened."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "wbr"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


def checkup(keeper: Keeper, *urls: str, **given: Any) -> Checkup:
    user = diagnose.User(words=("doctor", *urls))
    surroundings = keeper.surroundings
    peers = []
    for url in urls:
        found = diagnose_url(url, surroundings, user)
        told = tuple(remarks_on(found, surroundings.clock()))
        peers.append(
            Peer(part=Part.INDEX, url=url, because="--index-url", diagnosis=found, remarks=told)
        )
    about = {"kedge": "1", "time": "2026-01-01T00:00:00+00:00"}
    return Checkup(decision=keeper.decision, peers=tuple(peers), about=about, **given)


def hostile_root() -> pki.Authority:
    """A root whose every name is markup."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, HOSTILE[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, HOSTILE[-64:]),
        ]
    )
    root = pki.authority("Root")
    start, end = pki.VALID.moments()
    builder = x509.CertificateBuilder(name, name, root.key.public_key(), 7, start, end)
    for extension in root.certificate.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return pki.Authority(builder.sign(root.key, hashes.SHA256()), root.key)


@pytest.fixture
def ill(keeper: Keeper) -> Checkup:
    """One sound server, one with an expired certificate, one of a hostile stranger, one mute."""
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    strange = hostile_root()
    sound = keeper.serves(root.intermediate("Corp Issuing").leaf("localhost"))
    expired = keeper.serves(root.leaf("localhost", validity=pki.EXPIRED))
    leaf = sent_with(strange.leaf("localhost", common_name=HOSTILE[:64]), strange)
    hostile = keeper.serves(leaf)
    gone = "https://localhost:1/simple/"
    found = checkup(keeper, sound, expired, hostile, gone, warnings=(HOSTILE,))
    blocking = Remark(code=RemarkCode.STATUS, sentence=HOSTILE, hint=HOSTILE, blocks=True)
    more = Peer(part=Part.FILES, url="https://x.example", because=HOSTILE, remarks=(blocking,))
    return Checkup(
        decision=found.decision,
        peers=(*found.peers, more),
        warnings=found.warnings,
        about=found.about,
    )


def test_each_chain_is_drawn_with_its_break_and_its_stores(ill: Checkup) -> None:
    text = " ".join(Reader(render(ill)).text.split())
    assert "✕ An install would not work with these settings" in text
    for peer in ill.peers[:3]:
        assert peer.diagnosis is not None
        assert peer.diagnosis.chain is not None
        for each in peer.diagnosis.chain.certificates:
            assert each.fingerprint in text
    assert "✓ Trusted. Held by: the bundle" in text
    assert "The chain breaks here" in text
    assert "(expired)" in text
    for code in ("expired", "connection-refused"):
        assert f"{code}:" in text


def test_the_remedies_are_on_it_word_for_word(ill: Checkup) -> None:
    text = Reader(render(ill)).text
    remedies = [each for peer in ill.peers if peer.diagnosis for each in peer.diagnosis.remedies]
    assert remedies
    for remedy in remedies:
        assert remedy.what in text
        for command in remedy.commands:
            assert command in text


def test_no_word_of_a_certificate_becomes_markup(ill: Checkup) -> None:
    page = render(ill)
    reader = Reader(page)
    assert HOSTILE in reader.text
    assert HOSTILE[:64] in reader.text
    tags = {tag for tag, _ in reader.elements}
    assert not tags & {"script", "img", "a", "link", "iframe", "object"}
    assert not any(name.startswith("on") for _, attrs in reader.elements for name in attrs)
    assert sum(tag == "style" for tag, _ in reader.elements) == 1


def test_nothing_is_fetched_from_elsewhere(ill: Checkup) -> None:
    page = render(ill)
    for _, attributes in Reader(page).elements:
        assert not {"src", "href", "action"} & set(attributes)
    assert not re.search(r"url\(|@import", page)
    policies = [attrs.get("http-equiv") for tag, attrs in Reader(page).elements if tag == "meta"]
    assert "Content-Security-Policy" in policies


_ANIMALS = {each.id: each for each in (*zoo.CERTIFICATES, *zoo.HANDSHAKES, *zoo.ROUTES)}


@pytest.mark.parametrize(
    "name",
    ["name", "missing-aia", "client-1.3", "dns", "proxy-untrusted", "bad-bundle", "plain-portal"],
)
def test_whatever_fails_has_its_causes_and_its_way(name: str, keeper: Keeper) -> None:
    found = checkup(keeper, _ANIMALS[name].build(keeper))
    text = Reader(render(found)).text
    for cause in _ANIMALS[name].causes:
        assert f"{cause.value}:" in text
    assert "this machine" in text
    assert ("proxy localhost" in text) is (name == "proxy-untrusted")


def test_the_home_folder_is_not_told(keeper: Keeper) -> None:
    home = str(keeper.folder)
    keeper.trusts(pki.authority("Corp Root"))
    found = checkup(keeper, keeper.serves(pki.authority("Other").leaf("localhost")))
    assert home in render(found)
    page = render(found, home=home)
    assert home not in page
    assert "~/trusted.pem" in page
    # Another folder that begins with the same letters is not it.
    assert "~/" not in render(found, home=home[:-1])


@pytest.mark.parametrize("home", ["", "/", "/root/"])
def test_a_root_folder_is_nobodys_home(keeper: Keeper, home: str) -> None:
    found = checkup(keeper, warnings=("/rooted/a and /root/b",))
    page = Reader(render(found, home=home)).text
    assert "/rooted/a" in page
    assert ("/root/b" in page) is (home != "/root/")


def test_nothing_to_connect_to(keeper: Keeper) -> None:
    text = Reader(render(checkup(keeper))).text
    assert "✓ An install would work" in text


# --------------------------------------------------------------------------------------------
# In a browser


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser(tool("chromium")) as browser:
        yield browser


def violations(browser: Browser) -> list[str]:
    """What axe-core finds against the page."""
    source = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    browser.evaluate(f"{source};1")
    found = browser.evaluate(
        "axe.run(document).then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))"
    )
    return list(found)


@pytest.mark.tool("chromium")
def test_the_page_in_a_browser(ill: Checkup, tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(ill), encoding="utf-8")
    for dark in (False, True):
        for width in (1280, 380):
            browser.emulate(width=width, dark=dark)
            assert browser.open(path.as_uri()) == [path.as_uri()]
            assert browser.evaluate("document.title") == "kedge doctor: an install would not work"
            # Nothing sticks out: whoever reads on a telephone does not scroll sideways.
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert violations(browser) == []


@pytest.fixture
def lint_page(tmp_path: Path) -> Path:
    """Of one sound bundle, and one with every kind of trouble."""
    root = hostile_root()
    sound = root.write_pem(tmp_path / "sound.pem")
    broken = tmp_path / "broken.pem"
    old = pki.authority("Old", validity=pki.EXPIRED)
    leaf = root.leaf("x.example", common_name=HOSTILE[:64])
    broken.write_bytes(root.pem + old.pem + leaf.pem + root.pem + root.key_pem)
    rules = Rules(environ={}, now=datetime.now(timezone.utc))
    sources = [
        lint(TrustSource(StoreKind.BUNDLE, path=str(path)), rules, in_force=path is sound)
        for path in (sound, broken)
    ]
    page = tmp_path / "lint.html"
    page.write_text(render_lint(sources, {"time": "2026"}, home=str(tmp_path)), "utf-8")
    return page


def test_the_lint_as_a_page(lint_page: Path) -> None:
    page = lint_page.read_text("utf-8")
    reader = Reader(page)
    assert "✕ A certificate bundle is broken" in reader.text
    for code in ("private-key", "expired", "leaf", "duplicate"):
        assert f"{code}: " in reader.text
    assert HOSTILE[:64] in reader.text
    assert "~/broken.pem" in reader.text
    assert not {"script", "img"} & {tag for tag, _ in reader.elements}


@pytest.mark.tool("chromium")
def test_the_lint_in_a_browser(lint_page: Path, browser: Browser) -> None:
    for dark in (False, True):
        browser.emulate(width=380, dark=dark)
        assert browser.open(lint_page.as_uri()) == [lint_page.as_uri()]
        assert browser.evaluate("document.documentElement.scrollWidth") <= 380
        assert violations(browser) == []


@pytest.mark.tool("chromium")
def test_dark_and_light_are_what_they_say(ill: Checkup, tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(ill), encoding="utf-8")
    shades = []
    for dark in (False, True):
        browser.emulate(dark=dark)
        browser.open(path.as_uri())
        color = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        shades.append(sum(int(each) for each in re.findall(r"\d+", color)[:3]))
    assert shades[0] > 700
    assert shades[1] < 150


@pytest.mark.tool("chromium")
def test_axe_would_find_something(tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "bad.html"
    path.write_text("<html><body style='color:#eee;background:#fff'><img src=''>x</body></html>")
    browser.open(path.as_uri())
    assert any(each.startswith("image-alt") for each in violations(browser))
