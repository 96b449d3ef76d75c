"""One failure for each cause, and what kedge prints for it: the examples of the documentation.

The servers are the zoo's; kedge runs as it does from a shell, in a folder of its own. What is
different each time (ports, dates, fingerprints) is replaced, so that two runs print the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from diagnose import zoo
from diagnose.zoo import Keeper
from kedge.cli.main import main
from kedge.diagnose import Cause
from kedge.model import PYPI_HOSTS, OriginKind
from support import pki
from support.servers import Response
from support.unhurried import waiting

#: Columns of the terminal that the examples are made for.
WIDTH = 88
_ANIMALS = {each.id: each.build for each in (*zoo.CERTIFICATES, *zoo.HANDSHAKES, *zoo.ROUTES)}


@dataclass(frozen=True)
class Specimen:
    """How one cause is brought about; ``words`` are what the user adds to his command."""

    build: Callable[[Keeper], str]
    words: tuple[str, ...] = ()


def _intercepted(keeper: Keeper) -> str:
    """As on a machine that the company manages: the system's store has the authority."""
    root = pki.authority("Example Corp TLS Inspection")
    keeper.environ["SSL_CERT_FILE"] = keeper.bundle(root, name="system.pem").name
    return keeper.behind(PYPI_HOSTS[0], zoo.sent_with(root.leaf(PYPI_HOSTS[0]), root))


def _no_index(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    headers = {"Content-Type": "application/pdf"}
    return keeper.serves(root.leaf("localhost"), lambda _: Response(200, b"%PDF", headers))


def _insecure_redirect(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    handler = zoo.redirecting("http://packages.corp.example/simple/six/")
    return keeper.serves(root.leaf("localhost"), handler)


def _empty_store(keeper: Keeper) -> str:
    """A file and a folder that are there, with nothing in them."""
    Path(keeper.folder, "empty.pem").touch()
    Path(keeper.folder, "empty").mkdir()
    manager = Path(keeper.folder, "bin", "apt-get")
    manager.parent.mkdir()
    manager.touch(mode=0o755)
    keeper.environ |= {"SSL_CERT_FILE": "empty.pem", "SSL_CERT_DIR": "empty"}
    keeper.environ["PATH"] = str(manager.parent)
    return zoo.private_root(keeper)


_ONCE = ("--retries", "0")
_BRIEFLY = ("--timeout", "1")
SPECIMENS: Mapping[Cause, Specimen] = {
    Cause.UNTRUSTED_ROOT: Specimen(_ANIMALS["private-root-presented"]),
    Cause.TLS_INTERCEPTION: Specimen(_intercepted),
    Cause.SELF_SIGNED: Specimen(_ANIMALS["self-signed"]),
    Cause.MISSING_INTERMEDIATE: Specimen(_ANIMALS["missing-aia"]),
    Cause.WRONG_INTERMEDIATE: Specimen(_ANIMALS["rekeyed"]),
    Cause.EXPIRED: Specimen(_ANIMALS["expired"]),
    Cause.NOT_YET_VALID: Specimen(_ANIMALS["not-yet"]),
    Cause.CLOCK_SKEW: Specimen(_ANIMALS["clock-slow"]),
    Cause.NAME_MISMATCH: Specimen(_ANIMALS["name"]),
    Cause.BAD_CA_CERTIFICATE: Specimen(_ANIMALS["not-a-ca"]),
    Cause.NAME_CONSTRAINTS: Specimen(_ANIMALS["constraints"]),
    Cause.CRITICAL_EXTENSION: Specimen(_ANIMALS["critical"]),
    Cause.WRONG_PURPOSE: Specimen(_ANIMALS["wrong-purpose"]),
    Cause.WEAK_KEY: Specimen(_ANIMALS["weak-key"]),
    Cause.WEAK_SIGNATURE: Specimen(_ANIMALS["weak-signature"]),
    Cause.STRICT_ONLY: Specimen(_ANIMALS["strict"]),
    Cause.PROTOCOL_VERSION: Specimen(_ANIMALS["old-protocol"]),
    Cause.NO_SHARED_CIPHER: Specimen(_ANIMALS["old-cipher"]),
    Cause.HANDSHAKE_REFUSED: Specimen(_ANIMALS["alert-name"]),
    Cause.CLIENT_CERT_REQUIRED: Specimen(_ANIMALS["nginx-400"]),
    Cause.CLIENT_CERT_REJECTED: Specimen(_ANIMALS["client-refused-1.2"]),
    Cause.NOT_TLS: Specimen(_ANIMALS["plain-http"]),
    Cause.CONNECTION_CUT: Specimen(_ANIMALS["cut"], _ONCE),
    Cause.CONNECTION_REFUSED: Specimen(_ANIMALS["refused"], _ONCE),
    Cause.DNS: Specimen(lambda _: "https://packages.corp.invalid/simple/", _ONCE),
    Cause.TIMEOUT: Specimen(_ANIMALS["silent"], (*_BRIEFLY, *_ONCE)),
    Cause.PROXY_AUTH: Specimen(_ANIMALS["proxy-407"]),
    Cause.PROXY_REFUSED: Specimen(_ANIMALS["proxy-403"]),
    Cause.PROXY_UNREACHABLE: Specimen(_ANIMALS["proxy-gone"], _ONCE),
    Cause.PROXY_TLS: Specimen(_ANIMALS["proxy-is-plain"]),
    Cause.CAPTIVE_PORTAL: Specimen(_ANIMALS["portal"]),
    Cause.NOT_AN_INDEX: Specimen(_no_index),
    Cause.INSECURE_REDIRECT: Specimen(_insecure_redirect),
    Cause.BAD_BUNDLE: Specimen(_ANIMALS["bad-bundle"]),
    Cause.EMPTY_SYSTEM_STORE: Specimen(_empty_store, ("--use-feature=truststore",)),
}


def printed(cause: Cause, folder: Path, environ: Mapping[str, str]) -> str:
    """The command, and what it prints from the error on; as stable as it can be."""
    specimen = SPECIMENS[cause]
    with ExitStack() as stack:
        waiting(stack.enter_context(pytest.MonkeyPatch.context()))
        keeper = Keeper(folder, stack)
        system = keeper.bundle(pki.authority("Example Public Root"), name="system.pem")
        keeper.environ["SSL_CERT_FILE"] = system.name
        url = specimen.build(keeper)
        words = ["install", "six", "--index-url", url, *_words_of(keeper), *specimen.words]
        environ = {**environ, **keeper.environ, "COLUMNS": str(WIDTH)}
        text = _run(words, {**environ, **_variables_of(keeper)}, folder)
    return _stable(f"$ kedge {' '.join(words)}\n{text}", folder)


def _words_of(keeper: Keeper) -> Iterator[str]:
    """What the keeper decided, as a user would type it."""
    for name, flag in (("cert", "--cert"), ("strict", "--strict-certs")):
        setting = keeper.settings.get(name)
        if setting is not None:
            yield from (flag,) if setting.value is True else (flag, Path(setting.value).name)
    if keeper.proxy is not None:
        yield from ("--proxy", keeper.proxy.value)
    if keeper.client_cert is not None:
        yield from ("--client-cert", "client.pem")


def _variables_of(keeper: Keeper) -> dict[str, str]:
    settings = [
        keeper.settings[name] for name in ("requests_ca_bundle",) if name in keeper.settings
    ]
    return {
        each.origin.name: Path(each.value).name
        for each in settings
        if each.origin.kind is OriginKind.ENVIRONMENT
    }


def _run(words: list[str], environ: Mapping[str, str], folder: Path) -> str:
    err = io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            code = main(words, environ=environ)
    finally:
        os.chdir(before)
    assert code != 0, err.getvalue()
    return err.getvalue()[err.getvalue().index("error:") :]


# --------------------------------------------------------------------------------------------
# What is different each time

_TODAY = datetime(2026, 3, 2, 9, 30, tzinfo=timezone.utc)
_PROXY_OPTION = r"--proxy (?:https?://)?(?:\S+@)?(localhost:\d+)"
_PAIRS = r"(?:[0-9A-F]{2}:){15}[0-9A-F]{2}"


def _stable(text: str, folder: Path) -> str:
    text = _with_names(text.replace(f"{folder}{os.sep}", ""))
    for words in (_BRIEFLY, _ONCE):
        text = text.replace(" " + " ".join(words), "")
    return _with_fingerprints(_with_dates(text)).rstrip()


def _with_names(text: str) -> str:
    """Names and ports as long as the real ones, so that lines end where they did; PyPI's own name
    is written in one place of the code and nowhere else."""
    proxies = {*re.findall(r"the proxy (localhost:\d+)", text), *re.findall(_PROXY_OPTION, text)}
    for proxy in proxies:
        text = text.replace(proxy, "proxy.lan:13128")
    text = re.sub(r"(localhost|\.example|\.org):\d{5}", r"\1:18443", text)
    text = text.replace("localhost", "pkgs.corp")
    for host in PYPI_HOSTS:
        text = text.replace(host, "⟨PyPI⟩")
    return text


def _with_dates(text: str) -> str:
    """Moments keep their distance from today, in days."""
    now = datetime.now(timezone.utc)

    def moved(found: re.Match[str]) -> str:
        moment = datetime.strptime(f"{found[1]} {found[3]}+0000", "%Y-%m-%d %H:%M%z")
        shown = _TODAY + timedelta(days=round((moment - now) / timedelta(days=1)))
        return f"{shown:%Y-%m-%d}{found[2]}{shown:%H:%M}{found[4]}UTC"

    return re.sub(r"(\d{4}-\d\d-\d\d)(\s+)(\d\d:\d\d)(\s+)UTC", moved, text)


def _with_fingerprints(text: str) -> str:
    """Each certificate has another one, and the same one wherever it is named."""
    for number, (first, second) in enumerate(re.findall(rf"({_PAIRS}):\s+({_PAIRS})", text), 1):
        made = hashlib.sha256(f"certificate {number}".encode()).digest().hex(":").upper()
        text = text.replace(first, made[:47]).replace(second, made[48:])
        text = text.replace(first[:23], made[:23])
    return text


def comparable() -> bool:
    """Whether this machine prints what the documentation shows: the words are OpenSSL 3's."""
    return ssl.OPENSSL_VERSION_INFO >= (3,)
