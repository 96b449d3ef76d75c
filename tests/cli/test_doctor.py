"""``kedge doctor`` against real servers: whom it examines, what it says, how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from diagnose.zoo import mute
from kedge.cli.run import run
from support import pki
from support.indexes import SimpleIndex, page_of
from support.pki import Authority, Certificate
from support.proxies import Proxy, free_port
from support.servers import Handler, Request, Response, Server, redirect, with_basic_auth
from support.unhurried import PROGRAM, waiting
from support.venvs import Kedge, Outcome
from support.wheels import wheel
from transport.sessions import RawServer, silence

#: A leaf alone, from an issuer of the organisation that is trusted: it may be either.
UNKNOWN = ["missing-intermediate", "untrusted-root"]


@dataclass
class Clinic:
    """Servers under one private root, and the doctor with a bundle that holds that root."""

    root: Authority
    kedge: Kedge
    stack: ExitStack
    capsys: pytest.CaptureFixture[str]
    indexes: list[SimpleIndex] = field(default_factory=list)

    def serves(
        self, handler: Handler, certificate: Certificate | None = None, **given: Any
    ) -> Server:
        leaf = certificate or self.root.leaf("localhost", "127.0.0.1", "127.0.0.2")
        return self.stack.enter_context(Server(handler, certificate=leaf, **given))

    def index(self, certificate: Certificate | None = None, **given: Any) -> Server:
        """An index with one project, ``spam``; what it is made of is ``given``."""
        self.indexes.append(SimpleIndex([wheel("spam")], **given))
        return self.serves(self.indexes[-1], certificate)

    def plain(self, handler: Handler, **given: Any) -> Server:
        return self.stack.enter_context(Server(handler, **given))

    def proxy(self, **given: Any) -> Proxy:
        return self.stack.enter_context(Proxy(**given))

    def __call__(self, *words: str | Path, **environ: str) -> Outcome:
        return self.kedge("doctor", *words, environ=environ)

    def report(self, *words: str | Path, **environ: str) -> tuple[int, dict[str, Any]]:
        """The same in this process, which is sooner, as JSON."""
        line = ["doctor", "--json", *map(str, words)]
        code = run(line, environ={**self.kedge.environ, **environ})
        printed = self.capsys.readouterr()
        assert code in {0, 1}, printed
        return code, json.loads(printed.out)


@pytest.fixture
def clinic(
    private_ca: Authority,
    bundle: Path,
    clean_environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Clinic]:
    waiting(monkeypatch)
    environ = {**clean_environ, "PIP_CERT": str(bundle)}
    with ExitStack() as stack:
        yield Clinic(private_ca, Kedge(environ, program=PROGRAM), stack, capsys)


def peer(report: dict[str, Any], part: str) -> dict[str, Any]:
    (found,) = [each for each in report["peers"] if each["part"] == part]
    return dict(found)


def causes(peer: dict[str, Any]) -> list[str]:
    return [cause["code"] for cause in peer["diagnosis"]["causes"]]


def remarks(peer: dict[str, Any]) -> dict[str, str]:
    return {remark["code"]: remark["sentence"] for remark in peer["remarks"]}


# --------------------------------------------------------------------------------------------
# Healthy


def test_a_healthy_index_names_the_root_that_vouches(clinic: Clinic) -> None:
    server = clinic.index()
    outcome = clinic("-i", f"{server.url}/simple").succeeded()
    assert "“Kedge Test Private Root” vouches" in outcome.stdout
    assert outcome.stdout.rstrip().endswith("An install would work with these settings.")
    assert not outcome.stderr


def test_json_names_the_anchor_by_its_fingerprint(clinic: Clinic, private_ca: Authority) -> None:
    server = clinic.index()
    code, report = clinic.report("-i", f"{server.url}/simple")
    assert (code, report["works"]) == (0, True)
    index = peer(report, "index")
    assert index["url"] == f"{server.url}/simple"
    assert index["because"] == "-i on the command line"
    assert index["diagnosis"]["anchor"]["sha256"] == private_ca.fingerprint
    assert report["trusted"][0]["setting"] == "PIP_CERT in the environment"


def test_what_is_told_of_a_peer_hangs_below_its_address(clinic: Clinic) -> None:
    server = clinic.index()
    outcome = clinic("-i", f"{server.url}/simple", COLUMNS="50").succeeded()
    found = outcome.stdout.splitlines()
    at = next(number for number, row in enumerate(found) if server.url in row)
    following = found[at + 1 : at + 4]
    assert "(-i on the command line)" in following[0]
    assert {len(row) - len(row.lstrip()) for row in following} == {found[at].index(server.url)}


def test_json_is_json_whatever_the_terminal_takes(clinic: Clinic, tmp_path: Path) -> None:
    named = pki.authority("Gesellschaft für “Vertrauen”")
    file = named.write_pem(tmp_path / "named.pem")
    server = clinic.index(named.leaf("localhost"))
    words = ("--json", "-i", f"{server.url}/simple", "--cert", file)
    outcome = clinic(*words, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    subject = peer(json.loads(outcome.stdout), "index")["diagnosis"]["anchor"]["subject"]
    assert "CN=Gesellschaft für “Vertrauen”" in subject


def test_a_healthy_host_takes_a_few_handshakes(clinic: Clinic) -> None:
    server = clinic.index()
    clinic.report("-i", f"{server.url}/simple")
    # The probe, the choices of anchors (decided, certifi, system, strict), the page and a file.
    assert len(server.handshakes) <= 8


# --------------------------------------------------------------------------------------------
# Whom it examines


@pytest.mark.parametrize("style", ["both", "json", "html", "legacy"])
def test_the_hosts_of_the_files_are_found(
    clinic: Clinic, stranger_ca: Authority, style: str
) -> None:
    files = clinic.serves(SimpleIndex([wheel("spam")]), stranger_ca.leaf("localhost"))
    server = clinic.index(style=style, files_at=files.url)
    code, report = clinic.report("-i", f"{server.url}/simple")
    assert code == 1
    assert peer(report, "index")["works"]
    found = peer(report, "files")
    assert found["url"] == files.url
    assert found["because"] == f"linked from {server.url}/simple"
    assert causes(found) == UNKNOWN


def test_a_usual_project_spares_the_listing(clinic: Clinic) -> None:
    server = clinic.index()
    clinic.indexes[0].add(wheel("six"))
    clinic.report("-i", f"{server.url}/simple")
    assert "/simple/six/" in server.paths
    assert "/simple/" not in server.paths


def test_the_pages_of_find_links_and_their_hosts(clinic: Clinic, stranger_ca: Authority) -> None:
    files = clinic.serves(SimpleIndex([wheel("spam")]), stranger_ca.leaf("localhost"))
    link = f"{files.url}/files/{wheel('spam').filename}"
    page = clinic.serves(lambda _: Response(200, page_of([link]), {"Content-Type": "text/html"}))
    code, report = clinic.report("--no-index", "-f", f"{page.url}/links.html")
    assert code == 1
    assert peer(report, "find-links")["works"]
    assert causes(peer(report, "files")) == UNKNOWN


def test_a_local_page_may_name_remote_files(clinic: Clinic, tmp_path: Path) -> None:
    files = clinic.index()
    link = f"{files.url}/files/{wheel('spam').filename}"
    (tmp_path / "links.html").write_bytes(page_of([link]))
    code, report = clinic.report("--no-index", "-f", tmp_path)
    assert code == 0
    assert [each["part"] for each in report["peers"]] == ["files"]
    assert peer(report, "files")["read"] == f"{wheel('spam').filename} can be had"


def test_a_plain_proxy_is_told_with_what_it_opens(clinic: Clinic) -> None:
    server, proxy = clinic.index(), clinic.proxy()
    code, report = clinic.report("-i", f"{server.url}/simple", HTTPS_PROXY=proxy.url)
    assert code == 0
    found = peer(report, "proxy")
    assert found["url"] == proxy.url
    assert found["because"] == "HTTPS_PROXY in the environment"
    assert found["works"]


def test_a_tls_proxy_has_a_chain_of_its_own(
    clinic: Clinic, private_ca: Authority, stranger_ca: Authority
) -> None:
    server = clinic.index()
    sound = clinic.proxy(certificate=private_ca.leaf("localhost"))
    _, report = clinic.report("-i", f"{server.url}/simple", HTTPS_PROXY=sound.url)
    assert peer(report, "proxy")["diagnosis"]["anchor"]["sha256"] == private_ca.fingerprint
    strange = clinic.proxy(certificate=stranger_ca.leaf("localhost"))
    code, report = clinic.report("-i", f"{server.url}/simple", HTTPS_PROXY=strange.url)
    assert code == 1
    assert "proxy-tls" in causes(peer(report, "proxy"))
    assert not any(entry.method == "CONNECT" for entry in strange.entries)


def test_a_proxy_that_is_gone_is_explained_once(clinic: Clinic) -> None:
    one, two = clinic.index(), clinic.index()
    proxy = f"http://localhost:{free_port()}"
    words = ("-i", f"{one.url}/simple", "--extra-index-url", f"{two.url}/simple")
    outcome = clinic(*words, HTTPS_PROXY=proxy)
    assert outcome.code == 1
    assert outcome.stdout.count("Cause: proxy-unreachable") == 1
    assert not one.requests


def test_words_are_urls_and_hosts(clinic: Clinic) -> None:
    one, two = clinic.index(), clinic.index()
    code, report = clinic.report(one.hostport, f"{two.url}/simple/spam/")
    assert code == 0
    urls = [each["url"] for each in report["peers"]]
    assert urls[:2] == [one.url, f"{two.url}/simple/spam/"]
    assert not [request for request in one.asked if request.path != "/"]


@pytest.mark.parametrize("word", ["https://", "ftp://files.example.org", "a b"])
def test_what_is_no_url_is_wrong_usage(clinic: Clinic, word: str) -> None:
    clinic(word).failed(2)


def test_the_install_section_of_the_files_counts(clinic: Clinic, tmp_path: Path) -> None:
    server = clinic.index()
    file = tmp_path / "pip.conf"
    file.write_text(f"[install]\nindex-url = {server.url}/simple\n")
    code, report = clinic.report(PIP_CONFIG_FILE=str(file))
    assert code == 0
    assert str(file) in peer(report, "index")["because"]


def test_an_install_from_a_folder_connects_to_nothing(clinic: Clinic, tmp_path: Path) -> None:
    wheel("spam").write(tmp_path)
    code, report = clinic.report("--no-index", "-f", tmp_path)
    assert (code, report["peers"]) == (0, [])


# --------------------------------------------------------------------------------------------
# What stands in the way


def test_one_issuer_of_unrelated_hosts_is_an_interceptor(
    clinic: Clinic, stranger_ca: Authority
) -> None:
    one = clinic.index(stranger_ca.leaf("index.example.org"))
    two = clinic.index(stranger_ca.leaf("files.example.net"))
    names = {"index.example.org": "127.0.0.1", "files.example.net": "127.0.0.1"}
    proxy = clinic.proxy(names=names)
    words = (f"index.example.org:{one.port}", f"files.example.net:{two.port}")
    code, report = clinic.report(*words, HTTPS_PROXY=proxy.url)
    assert code == 1
    first, second = (each for each in report["peers"] if each["part"] == "url")
    assert causes(first) == ["tls-interception"]
    assert causes(second) == ["tls-interception"]
    assert first["diagnosis"]["causes"][0]["hosts"] == ["files.example.net"]
    assert second["diagnosis"]["causes"][0]["hosts"] == ["index.example.org"]
    # Alone, such a host has a private root and no more.
    _, report = clinic.report(words[0], HTTPS_PROXY=proxy.url)
    assert causes(peer(report, "url")) == UNKNOWN


def test_an_index_that_wants_credentials(clinic: Clinic) -> None:
    index = SimpleIndex([wheel("spam")])
    server = clinic.serves(with_basic_auth(index, "ana", "secret"))
    code, report = clinic.report("-i", f"{server.url}/simple")
    assert code == 1
    assert "401" in remarks(peer(report, "index"))["credentials"]
    url = server.url.replace("//", "//ana:secret@")
    outcome = clinic("--json", "-i", f"{url}/simple").succeeded()
    assert "secret" not in outcome.stdout + outcome.stderr


def test_files_that_want_credentials(clinic: Clinic) -> None:
    def files(request: Request) -> Response:
        return Response(403, b"no")

    server = clinic.index(files_at=clinic.serves(files).url)
    code, report = clinic.report("-i", f"{server.url}/simple")
    assert code == 1
    assert "403" in remarks(peer(report, "files"))["credentials"]


def sign_in(_: Request) -> Response:
    form = b"<html><title>Sign in</title><form><input type=password name=p></form></html>"
    return Response(200, form, {"Content-Type": "text/html"})


#: Prints the thread that imports requests, then is the doctor.
_WHO_IMPORTS = """
import os, sys, threading

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "requests":
            print(threading.current_thread() is threading.main_thread(), file=sys.stderr)

sys.meta_path.insert(0, Watch())
from kedge.cli.main import main
main(["doctor", *sys.argv[1:]], environ=dict(os.environ))
"""


def test_requests_is_imported_before_the_threads_start(clinic: Clinic) -> None:
    """It sets a filter of warnings then, which another thread's ``catch_warnings`` could undo:
    urllib3's word on a missing PySocks came through, now and then."""
    done = subprocess.run(
        [sys.executable, "-c", _WHO_IMPORTS, f"https://localhost:{free_port()}/simple/"],
        env=clinic.kedge.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "connection-refused" in done.stdout
    assert done.stderr.splitlines() == ["True"]


def test_a_page_that_is_no_index(clinic: Clinic) -> None:
    server = clinic.serves(sign_in)
    code, report = clinic.report("-i", f"{server.url}/simple")
    assert code == 1
    index = peer(report, "index")
    assert causes(index) == ["not-an-index"]
    assert not index["diagnosis"]["sound"]


def test_an_address_with_nothing_there(clinic: Clinic) -> None:
    server = clinic.index()
    code, report = clinic.report("-i", f"{server.url}/elsewhere")
    assert code == 1
    assert set(remarks(peer(report, "index"))) == {"no-page"}


def test_a_page_for_everybody_is_no_index_to_install_from(clinic: Clinic) -> None:
    """Whatever is asked for, there is a page, and nothing on it."""
    server = clinic.serves(
        lambda request: Response(200, b"<html>welcome</html>", {"Content-Type": "text/html"})
    )
    code, report = clinic.report("-i", f"{server.url}/simple")
    assert code == 1
    assert set(remarks(peer(report, "index"))) == {"no-page"}


def test_a_page_with_no_folder_to_be_in_is_refused_at_once(clinic: Clinic, tmp_path: Path) -> None:
    server = clinic.index()
    seen = len(server.requests)
    target = tmp_path / "absent" / "report.html"
    done = clinic("-i", f"{server.url}/simple", "--html", target)
    assert done.code == 2
    assert len(server.requests) == seen


def test_a_redirect_to_a_host_that_nobody_knows(clinic: Clinic, stranger_ca: Authority) -> None:
    strange = clinic.serves(SimpleIndex([wheel("spam")]), stranger_ca.leaf("localhost"))

    def away(request: Request) -> Response:
        return redirect(f"{strange.url}{request.target}")

    code, report = clinic.report("-i", f"{clinic.serves(away).url}/simple")
    assert code == 1
    found = peer(report, "redirect")
    assert found["url"] == strange.url
    assert causes(found) == UNKNOWN


def test_files_that_are_redirected_to_a_host_that_nobody_knows(
    clinic: Clinic, stranger_ca: Authority
) -> None:
    strange = clinic.serves(SimpleIndex([wheel("spam")]), stranger_ca.leaf("localhost"))

    def away(request: Request) -> Response:
        return redirect(f"{strange.url}{request.target}")

    server = clinic.index(files_at=clinic.serves(away).url)
    code, report = clinic.report("-i", f"{server.url}/simple")
    assert code == 1
    assert peer(report, "index")["works"]
    assert not peer(report, "files")["works"]
    assert causes(peer(report, "redirect")) == UNKNOWN


def test_plain_http_is_refused_and_a_trusted_host_is_told(clinic: Clinic) -> None:
    proxy = clinic.proxy(names={"index.example.org": "127.0.0.1"})
    server = clinic.plain(SimpleIndex([wheel("spam")]))
    url = f"http://index.example.org:{server.port}/simple"
    code, report = clinic.report("-i", url, HTTP_PROXY=proxy.url)
    assert code == 1
    assert causes(peer(report, "index")) == ["not-tls"]
    words = ("-i", url, "--trusted-host", "index.example.org")
    code, report = clinic.report(*words, HTTP_PROXY=proxy.url)
    assert code == 0
    assert "not-verified" in remarks(peer(report, "index"))


def test_a_trusted_host_works_whatever_it_presents(clinic: Clinic, stranger_ca: Authority) -> None:
    server = clinic.index(stranger_ca.leaf("localhost"))
    words = ("-i", f"{server.url}/simple", "--trusted-host", "localhost")
    code, report = clinic.report(*words)
    assert code == 0
    assert "--trusted-host" in remarks(peer(report, "index"))["not-verified"]


def test_what_strict_verification_would_refuse_is_told(clinic: Clinic, tmp_path: Path) -> None:
    lax = pki.authority("Corp Root", key_usage=False)
    file = lax.write_pem(tmp_path / "corp.pem")
    server = clinic.index(lax.leaf("localhost"))
    code, report = clinic.report("-i", f"{server.url}/simple", "--cert", file)
    assert code == 0
    assert "strict" in remarks(peer(report, "index"))
    code, report = clinic.report("-i", f"{server.url}/simple", "--cert", file, "--strict-certs")
    assert code == 1
    assert causes(peer(report, "index")) == ["strict-only"]


def test_a_certificate_that_ends_soon_is_told(clinic: Clinic, private_ca: Authority) -> None:
    server = clinic.index(private_ca.leaf("localhost", validity=pki.Validity(-1, 5)))
    code, report = clinic.report("-i", f"{server.url}/simple")
    assert code == 0
    assert "Kedge Test Server" in remarks(peer(report, "index"))["expires-soon"]


def test_a_bundle_that_cannot_be_used(clinic: Clinic, tmp_path: Path) -> None:
    server = clinic.index()
    broken = tmp_path / "broken.pem"
    broken.write_bytes(pki.damaged_pem(clinic.root))
    code, report = clinic.report("-i", f"{server.url}/simple", "--cert", broken)
    assert code == 1
    assert causes(peer(report, "index")) == ["bad-bundle"]


def test_a_server_that_says_nothing_is_not_waited_for(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an install would do: it says nothing ever, and ends no wait."""
    waiting(monkeypatch, 4.0)
    silent = clinic.stack.enter_context(RawServer(silence))
    code, report = clinic.report(f"localhost:{silent.port}", "--timeout", "9999")
    assert code == 1
    assert causes(peer(report, "url")) == ["timeout"]


@pytest.mark.parametrize(
    ("ends", "cause"), [(False, "timeout"), (True, "connection-cut")], ids=["mute", "hangs-up"]
)
def test_a_server_that_falls_silent_after_the_handshake(
    clinic: Clinic, ends: bool, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor has a code and a remedy for it, as the install that fails there has."""
    if not ends:
        waiting(monkeypatch, 4.0)
    server = clinic.serves((lambda _: Response(hang_up=True)) if ends else mute)
    index = f"{server.url}/simple"
    code, report = clinic.report("-i", index, "--timeout", "9999", "--retries", "0")
    assert code == 1
    index_peer = peer(report, "index")
    assert causes(index_peer) == [cause]
    assert "failed" not in remarks(index_peer)
    assert not index_peer["diagnosis"]["sound"]
    assert index_peer["diagnosis"]["remedies"]


def test_the_first_remedy_pasted_makes_it_well(
    clinic: Clinic, stranger_ca: Authority, stranger_bundle: Path
) -> None:
    server = clinic.index(stranger_ca.leaf("localhost"))
    environ = {"SSL_CERT_FILE": str(stranger_bundle), "SSL_CERT_DIR": str(stranger_bundle.parent)}
    _, report = clinic.report("-i", f"{server.url}/simple", **environ)
    command = peer(report, "index")["diagnosis"]["remedies"][0]["commands"][0]
    done = subprocess.run(
        command,
        shell=True,
        env={**clinic.kedge.environ, **environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_server_is_sent_more_than_an_install_would_send(
    clinic: Clinic, stranger_ca: Authority
) -> None:
    server = clinic.index(stranger_ca.leaf("localhost"))
    outcome = clinic("-i", f"{server.url.replace('//', '//ana:secret@')}/simple")
    assert outcome.code == 1
    assert "secret" not in outcome.stdout
    assert server.requests
    assert all(request.method == "HEAD" and request.path == "/" for request in server.requests)
    assert not any("secret" in str(request.headers) for request in server.requests)


def test_a_client_certificate_is_presented_to_the_index(clinic: Clinic, tmp_path: Path) -> None:
    server = clinic.serves(
        SimpleIndex([wheel("spam")]), client_ca=clinic.root, client_required=True
    )
    words = ("-i", f"{server.url}/simple")
    code, report = clinic.report(*words)
    assert code == 1
    assert causes(peer(report, "index")) == ["client-cert-required"]
    identity = clinic.root.client().write_identity(tmp_path / "client.pem", password="open")
    code, report = clinic.report(
        *words, "--client-cert", identity, PIP_CLIENT_KEY_PASSPHRASE="open"
    )
    assert code == 0, report


# --------------------------------------------------------------------------------------------
# --lint


def test_lint_reads_every_bundle_that_a_setting_names(
    clinic: Clinic, bundle: Path, tmp_path: Path
) -> None:
    old = pki.authority("Old Root", validity=pki.EXPIRED).write_pem(tmp_path / "old.pem")
    code, report = clinic.report("--lint", REQUESTS_CA_BUNDLE=str(old))
    assert code == 1
    first, second = report["sources"]
    assert (first["path"], first["in_force"], first["broken"]) == (str(bundle), True, False)
    assert (second["path"], second["in_force"], second["broken"]) == (str(old), False, True)
    assert second["defects"][0]["code"] == "expired"


def test_lint_of_named_files_says_what_and_where(clinic: Clinic, tmp_path: Path) -> None:
    sound = clinic.root.write_pem(tmp_path / "sound.pem")
    keyed = tmp_path / "keyed.pem"
    keyed.write_bytes(clinic.root.pem + clinic.root.key_pem)
    assert clinic("--lint", sound).code == 0
    outcome = clinic("--lint", sound, keyed)
    assert outcome.code == 1
    assert "private-key" in outcome.stdout
    line = (clinic.root.pem).count(b"\n") + 1
    assert f"block 2, line {line}" in outcome.stdout


def test_lint_with_the_default_store(clinic: Clinic) -> None:
    code, report = clinic.report("--lint", PIP_CERT="")
    assert code == 0
    (source,) = report["sources"]
    assert source["kind"] == "certifi"
    assert source["vouching"] > 50
