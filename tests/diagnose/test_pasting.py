"""What is printed is pasted into a shell, and installs: remedy by remedy."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from diagnose import zoo
from diagnose.zoo import Keeper
from kedge import diagnose
from kedge.diagnose import Diagnosis, RemedyKind, Shell, Surroundings, User
from kedge.diagnose.commands import command
from kedge.errors import BundleError, InsecureLocationError, TrustError
from kedge.model import NetworkOrigin, Sourced
from kedge.settings import options as table
from kedge.settings.merge import merge
from kedge.settings.snapshot import take_snapshot
from kedge.settings.words import read_words
from kedge.trust import ClientCertificate, load
from kedge.trust.decide import decide
from support import pki
from support.indexes import SimpleIndex
from support.proxies import Proxy, free_port
from support.servers import Handler, Request, Response, Server
from support.unhurried import LONG
from support.venvs import versions_in, with_private_certifi
from support.wheels import wheel

pytestmark = pytest.mark.once


@dataclass
class Desk:
    """A user at a terminal: a folder, variables, a command, and an index to install from."""

    folder: Path
    environ: dict[str, str]
    stack: ExitStack
    monkeypatch: pytest.MonkeyPatch
    words: list[str] = field(default_factory=list)
    shell: Shell = Shell.POSIX
    interpreter: tuple[str, ...] = ("/bin/sh", "-c")
    package_manager: str = ""
    root: pki.Authority = field(default_factory=lambda: pki.authority("Corp Root"))
    wrong: pki.Authority = field(default_factory=lambda: pki.authority("Wrong Root"))
    guard: Callable[[Handler], Handler] = lambda handler: handler
    url: str = ""

    def serves(self, certificate: pki.Certificate | None = None, **given: object) -> None:
        index = self.guard(SimpleIndex([wheel("demo", "1.0")]))
        leaf = certificate or self.root.leaf("localhost")
        server = Server(index, certificate=leaf, **given)  # type: ignore[arg-type]
        self.url = f"{self.stack.enter_context(server).url}/simple/"
        self.words += ["--index-url", self.url]

    def pem(self, *certificates: pki.Certificate, name: str) -> str:
        path = self.folder / name
        path.write_bytes(pki.pem_file(*certificates))
        return str(path)

    def certifi_holds(self, *certificates: pki.Certificate) -> None:
        """For this process and for what it starts."""
        text = pki.pem_file(*certificates)
        overlay = with_private_certifi(self.folder / "overlay", text)
        self.environ["PYTHONPATH"] = overlay
        where = str(Path(overlay, "certifi", "cacert.pem"))
        self.monkeypatch.setattr("certifi.where", lambda: where)

    def reads_files(self) -> None:
        """Configuration files count, which they do for no other test."""
        del self.environ["PIP_CONFIG_FILE"]

    @property
    def line(self) -> tuple[str, ...]:
        return ("install", "--target", "out dir", *self.words, "demo")

    @property
    def user(self) -> User:
        snapshot = take_snapshot(self.environ)
        levels = {
            file.path: f"--{file.kind.value}"
            for file in snapshot.files
            if file.kind.value in {"user", "global", "site"}
        }
        program = (sys.executable, "-m", "kedge")
        return User(
            words=self.line,
            program=program,
            shell=self.shell,
            config_levels=levels,
            package_manager=self.package_manager,
        )

    @property
    def surroundings(self) -> Surroundings:
        """As a command would make them, from the settings."""
        settings = merge(read_words(self.line), take_snapshot(self.environ))
        proxy, client = settings[table.PROXY], settings[table.CLIENT_CERT]
        return Surroundings(
            decision=decide(settings.trust_settings()),
            environ=self.environ,
            proxy=None if proxy.value is None else Sourced(proxy.value, proxy.origin),
            client_cert=ClientCertificate.of(Sourced(client.value, client.origin), self.environ)
            if client.value is not None
            else None,
            client_origins=frozenset({NetworkOrigin.of(self.url)}),
            limit=LONG,
        )

    def diagnose(self) -> Diagnosis:
        return diagnose.diagnose_url(self.url, self.surroundings, self.user)

    def paste(self, line: str) -> None:
        done = subprocess.run(
            [*self.interpreter, line],
            env=self.environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)

    @property
    def installed(self) -> bool:
        out = self.folder / "out dir"
        return out.is_dir() and "demo" in versions_in(out)


@pytest.fixture
def desk(
    tmp_path: Path, clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        yield Desk(tmp_path, clean_environ, stack, monkeypatch)


# --------------------------------------------------------------------------------------------
# Situations, and the first remedy for each


def system_store(desk: Desk) -> None:
    desk.serves()
    desk.environ["SSL_CERT_FILE"] = desk.pem(desk.root, name="system.pem")


def system_store_declined(desk: Desk) -> None:
    system_store(desk)
    desk.words.append("--use-deprecated=legacy-certs")


def overridden_bundle(desk: Desk) -> None:
    desk.serves()
    desk.words += ["--cert", desk.pem(desk.wrong, name="it's wrong.pem")]
    desk.environ["REQUESTS_CA_BUNDLE"] = desk.pem(desk.root, name="it's right.pem")


def stale_variables(desk: Desk) -> None:
    desk.serves()
    desk.certifi_holds(desk.root)
    desk.environ["REQUESTS_CA_BUNDLE"] = desk.pem(desk.wrong, name="stale.pem")
    desk.environ["CURL_CA_BUNDLE"] = desk.pem(desk.wrong, name="staler.pem")


def stale_flag_over_a_variable(desk: Desk) -> None:
    desk.serves()
    desk.certifi_holds(desk.root)
    desk.words.append("--cert=" + desk.pem(desk.wrong, name="stale.pem"))
    desk.environ["PIP_CERT"] = desk.pem(desk.wrong, name="staler.pem")


def stale_file(desk: Desk) -> None:
    desk.serves()
    desk.certifi_holds(desk.root)
    desk.reads_files()
    config = Path(desk.environ["XDG_CONFIG_HOME"], "pip", "pip.conf")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f"[global]\n# ours\ncert = {desk.pem(desk.wrong, name='stale.pem')}\n")


def truststore_is_too_narrow(desk: Desk) -> None:
    desk.serves()
    desk.certifi_holds(desk.root)
    desk.environ["SSL_CERT_FILE"] = desk.pem(desk.wrong, name="system.pem")
    desk.words.append("--use-feature=truststore")


def html_for_a_bundle(desk: Desk) -> None:
    desk.serves()
    page = desk.folder / "page.pem"
    page.write_text("<!DOCTYPE html><title>Sign in</title>")
    desk.environ["PIP_CERT"] = str(page)
    desk.environ["REQUESTS_CA_BUNDLE"] = desk.pem(desk.root, name="right.pem")


def html_for_a_bundle_and_a_good_store(desk: Desk) -> None:
    system_store(desk)
    page = desk.folder / "page.pem"
    page.write_text("<!DOCTYPE html><title>Sign in</title>")
    desk.words += ["--cert", str(page)]


def strict_flag(desk: Desk) -> None:
    desk.root = pki.authority("Corp Root", key_usage=False)
    desk.serves()
    desk.words += ["--strict-certs", "--cert", desk.pem(desk.root, name="right.pem")]


def strict_variable(desk: Desk) -> None:
    desk.root = pki.authority("Corp Root", key_usage=False)
    desk.serves()
    desk.words += ["--cert", desk.pem(desk.root, name="right.pem")]
    desk.environ["PIP_STRICT_CERTS"] = "1"


def unknown_root(desk: Desk) -> None:
    desk.serves(zoo.sent_with(desk.root.leaf("localhost"), desk.root))
    desk.pem(desk.root, name="company-root.pem")  # as IT handed it out


def unknown_root_of_the_same_organisation(desk: Desk) -> None:
    """The leaf alone is sent, and a root of that organisation is trusted: the issuer may as well
    be an intermediate of its. The user can mend it all the same."""
    desk.serves(desk.root.leaf("localhost"))
    desk.words += ["--cert", desk.pem(desk.wrong, name="first-root.pem")]
    desk.pem(desk.root, name="company-root.pem")  # as IT handed it out


def intermediate_from_the_company(desk: Desk) -> None:
    issuing = desk.root.intermediate("Corp Issuing")
    desk.serves(zoo.bare(issuing.leaf("localhost")))
    desk.words += ["--cert", desk.pem(desk.root, name="right.pem")]
    desk.pem(issuing, name="company-root.pem")


def self_signed(desk: Desk) -> None:
    own = pki.self_signed("localhost")
    desk.serves(own)
    desk.pem(own, name="company-root.pem")


def expired(desk: Desk) -> None:
    desk.serves(desk.root.leaf("localhost", validity=pki.EXPIRED))
    desk.words += ["--cert", desk.pem(desk.root, name="right.pem")]


def client_certificate(desk: Desk) -> None:
    desk.serves(client_ca=desk.root, client_required=True)
    desk.words += ["--cert", desk.pem(desk.root, name="right.pem")]
    desk.root.client().write_identity(desk.folder / "client.pem")


def proxied(desk: Desk, setting: str) -> None:
    desk.serves()
    desk.words += ["--cert", desk.pem(desk.root, name="right.pem"), "--proxy", setting]


def proxy_wants_a_password(desk: Desk) -> None:
    proxied(desk, desk.stack.enter_context(Proxy(credentials=("me", "p w"))).url)


def proxy_is_gone(desk: Desk) -> None:
    proxied(desk, f"http://localhost:{free_port()}")


def proxy_in_a_variable_is_gone(desk: Desk) -> None:
    desk.serves()
    desk.words += ["--cert", desk.pem(desk.root, name="right.pem")]
    desk.environ["HTTPS_PROXY"] = f"http://localhost:{free_port()}"


def answer_and_close(client: socket.socket, answer: bytes) -> None:
    """All that was asked is read first: what is left unread would take the answer away with it."""
    with closing(client):
        client.recv(65536)
        client.sendall(answer)


class FrankProxy(Proxy):
    """Says so, as squid does, when it is spoken to in TLS."""

    def _serve(self, client: socket.socket) -> None:
        if client.recv(1, socket.MSG_PEEK) == b"\x16":
            answer_and_close(client, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        else:
            super()._serve(client)


def proxy_is_plain(desk: Desk) -> None:
    proxied(desk, desk.stack.enter_context(FrankProxy()).url.replace("http://", "https://"))


class StrictProxy(Proxy):
    """Sends an alert, as GnuTLS's servers do, where it is not spoken to in TLS."""

    def _serve(self, client: socket.socket) -> None:
        if client.recv(1, socket.MSG_PEEK) != b"\x16":
            answer_and_close(client, bytes([0x15, 3, 1, 0, 2, 2, 10]))
        else:
            super()._serve(client)


def proxy_is_tls(desk: Desk) -> None:
    """Its address says http, and it takes nothing but TLS."""
    proxy = desk.stack.enter_context(StrictProxy(certificate=desk.root.leaf("localhost")))
    proxied(desk, proxy.url.replace("https://", "http://"))


def proxy_of_an_unknown_root(desk: Desk) -> None:
    leaf = desk.wrong.leaf("localhost")
    proxied(desk, desk.stack.enter_context(Proxy(certificate=zoo.sent_with(leaf, desk.wrong))).url)
    desk.pem(desk.wrong, name="company-root.pem")


def intermediate_in_another_bundle(desk: Desk) -> None:
    issuing = desk.root.intermediate("Corp Issuing")
    desk.serves(zoo.bare(issuing.leaf("localhost")))
    desk.words += ["--cert", desk.pem(desk.root, name="right.pem")]
    desk.environ["REQUESTS_CA_BUNDLE"] = desk.pem(issuing, name="bridge.pem")


def stale_root(desk: Desk) -> None:
    """The bundle has the old root; the new one, of the same name, is what IT hands out."""
    old = pki.authority("Corp Root")
    desk.serves(zoo.sent_with(desk.root.leaf("localhost"), desk.root))
    desk.words += ["--cert", desk.pem(old, name="stale.pem")]
    desk.pem(desk.root, name="company-root.pem")


def wants_a_client_as_nginx_does(desk: Desk) -> None:
    """The handshake passes, and without a certificate the answer is 400."""

    def guard(handler: Handler) -> Handler:
        def answer(request: Request) -> Response:
            known = request.client_certificate is not None
            return handler(request) if known else Response(400, b"no certificate")

        return answer

    desk.guard = guard
    desk.serves(client_ca=desk.root)
    desk.words += ["--cert", desk.pem(desk.root, name="right.pem")]
    desk.root.client().write_identity(desk.folder / "client.pem")


def signs_in_then(desk: Desk) -> None:
    """The network's page answers once; whoever reads it has signed in."""
    asked: list[str] = []

    def guard(handler: Handler) -> Handler:
        def answer(request: Request) -> Response:
            asked.append(request.method)
            return Response(511) if len(asked) <= 2 else handler(request)

        return answer

    desk.guard = guard
    desk.serves()
    desk.words += ["--cert", desk.pem(desk.root, name="right.pem")]


SITUATIONS: tuple[tuple[Callable[[Desk], None], RemedyKind], ...] = (
    (system_store, RemedyKind.USE_SYSTEM_STORE),
    (system_store_declined, RemedyKind.USE_SYSTEM_STORE),
    (overridden_bundle, RemedyKind.ADD_BUNDLE),
    (stale_variables, RemedyKind.USE_CERTIFI),
    (stale_flag_over_a_variable, RemedyKind.USE_CERTIFI),
    (stale_file, RemedyKind.USE_CERTIFI),
    (truststore_is_too_narrow, RemedyKind.USE_CERTIFI),
    (html_for_a_bundle, RemedyKind.USE_BUNDLE),
    (html_for_a_bundle_and_a_good_store, RemedyKind.USE_SYSTEM_STORE),
    (strict_flag, RemedyKind.DROP_STRICT),
    (strict_variable, RemedyKind.DROP_STRICT),
    (unknown_root, RemedyKind.OBTAIN_ROOT),
    (unknown_root_of_the_same_organisation, RemedyKind.OBTAIN_ROOT),
    (intermediate_from_the_company, RemedyKind.OBTAIN_ROOT),
    (self_signed, RemedyKind.OBTAIN_ROOT),
    (expired, RemedyKind.TRUST_HOST),
    (client_certificate, RemedyKind.CLIENT_CERTIFICATE),
    (proxy_wants_a_password, RemedyKind.PROXY_CREDENTIALS),
    (proxy_is_gone, RemedyKind.WITHOUT_PROXY),
    (proxy_in_a_variable_is_gone, RemedyKind.WITHOUT_PROXY),
    (proxy_is_plain, RemedyKind.PROXY_SCHEME),
    (proxy_is_tls, RemedyKind.PROXY_SCHEME),
    (proxy_of_an_unknown_root, RemedyKind.OBTAIN_ROOT),
    (intermediate_in_another_bundle, RemedyKind.ADD_BUNDLE),
    (stale_root, RemedyKind.OBTAIN_ROOT),
    (wants_a_client_as_nginx_does, RemedyKind.CLIENT_CERTIFICATE),
    (signs_in_then, RemedyKind.SIGN_IN),
)


@pytest.mark.parametrize(
    ("situation", "kind"), [pytest.param(*each, id=each[0].__name__) for each in SITUATIONS]
)
def test_what_is_printed_installs(
    desk: Desk, situation: Callable[[Desk], None], kind: RemedyKind
) -> None:
    situation(desk)
    found = desk.diagnose()
    commands = [remedy for remedy in found.remedies if remedy.commands]
    assert commands[0].kind is kind
    for line in commands[0].commands:
        desk.paste(line.replace("USER:PASSWORD", "me:p%20w"))
    assert desk.installed


def overridden_plain_bundle(desk: Desk) -> None:
    desk.serves()
    desk.words += ["--cert", desk.pem(desk.wrong, name="wrong.pem")]
    desk.environ["REQUESTS_CA_BUNDLE"] = desk.pem(desk.root, name="right.pem")


def test_a_path_that_a_file_cannot_hold_is_not_made_to_last(desk: Desk) -> None:
    overridden_bundle(desk)
    remedy = desk.diagnose().remedies[0]
    assert remedy.kind is RemedyKind.ADD_BUNDLE
    assert remedy.lasting == ()


@pytest.mark.parametrize("situation", [system_store, overridden_plain_bundle])
def test_what_makes_it_last_installs(desk: Desk, situation: Callable[[Desk], None]) -> None:
    situation(desk)
    desk.reads_files()
    remedy = desk.diagnose().remedies[0]
    assert remedy.lasting
    for line in remedy.lasting:
        desk.paste(line)
    desk.paste(command(desk.user, desk.line))
    assert desk.installed


def test_a_bundle_that_is_none_before_the_network(desk: Desk) -> None:
    """The error of a command that connected to nobody."""
    desk.serves()
    desk.certifi_holds(desk.root)
    page = desk.folder / "page.pem"
    page.write_text("<!DOCTYPE html><title>Sign in</title>")
    desk.environ["PIP_CERT"] = str(page)
    with pytest.raises(BundleError) as failed:
        load(desk.surroundings.decision, environ=desk.environ)
    found = diagnose.diagnose(failed.value, desk.surroundings, desk.user)
    assert found is not None
    assert found.codes == ("bad-bundle",)
    assert found.peer is None
    for line in found.remedies[-1].commands:
        desk.paste(line)
    assert desk.installed


@pytest.mark.parametrize(
    ("shell", "program"),
    [
        pytest.param(Shell.POSIX, "dash", id="dash", marks=pytest.mark.tool("dash")),
        pytest.param(Shell.POSIX, "bash", id="bash", marks=pytest.mark.tool("bash")),
        pytest.param(Shell.FISH, "fish", id="fish", marks=pytest.mark.tool("fish")),
        pytest.param(
            Shell.POWERSHELL,
            "pwsh",
            id="pwsh",
            marks=pytest.mark.skipif(shutil.which("pwsh") is None, reason="not here: pwsh"),
        ),
    ],
)
@pytest.mark.parametrize(
    "situation", [overridden_bundle, stale_variables, stale_file, proxy_is_gone]
)
def test_what_is_printed_installs_in_every_shell(
    desk: Desk, situation: Callable[[Desk], None], shell: Shell, program: str
) -> None:
    """Quotes in paths, variables to be unset, a file to be edited, an empty word."""
    desk.shell = shell
    desk.interpreter = (shutil.which(program) or program, "-c")
    situation(desk)
    for line in desk.diagnose().remedies[0].commands:
        desk.paste(line)
    assert desk.installed


# --------------------------------------------------------------------------------------------
# What is refused before anybody is asked


def test_the_bundle_is_replaced_by_a_sound_one(desk: Desk) -> None:
    desk.serves()
    page = desk.folder / "page.pem"
    page.write_text("<!DOCTYPE html><title>Sign in</title>")
    desk.words += ["--cert", str(page)]
    remedy = refused(desk).remedies[0]
    assert remedy.kind is RemedyKind.MEND_BUNDLE
    desk.pem(desk.root, name="page.pem")  # what the sentence says is to be done first
    for line in remedy.commands:
        desk.paste(line)
    assert desk.installed


def empty_store(desk: Desk) -> Path:
    """A slim container: no certificates, and a package manager that could bring them."""
    store = desk.folder / "store"
    store.mkdir()
    (store / "none.pem").touch()
    desk.monkeypatch.setattr("kedge.trust.files.CA_FILE_CANDIDATES", ())
    desk.environ |= {"SSL_CERT_FILE": str(store / "none.pem"), "SSL_CERT_DIR": str(store)}
    desk.words.append("--use-feature=truststore")
    return store / "none.pem"


def test_certificates_are_installed(desk: Desk) -> None:
    """By a package manager of the test's own: what it is told is what counts."""
    desk.serves()
    desk.package_manager = "apt-get"
    store = empty_store(desk)
    programs = desk.folder / "programs"
    programs.mkdir()
    script = programs / "apt-get"
    right = desk.pem(desk.root, name="from the package.pem")
    script.write_text(
        f"#!/bin/sh\n[ \"$*\" = 'install -y ca-certificates' ] && cp '{right}' '{store}'\n"
    )
    script.chmod(0o755)
    desk.environ["PATH"] = f"{programs}:{desk.environ['PATH']}"
    remedy = refused(desk).remedies[0]
    assert remedy.kind is RemedyKind.INSTALL_STORE
    for line in remedy.commands:
        desk.paste(line)
    assert desk.installed


def test_an_empty_store_is_done_without(desk: Desk) -> None:
    desk.serves()
    desk.certifi_holds(desk.root)
    empty_store(desk)
    remedy = refused(desk).remedies[-1]
    assert remedy.kind is RemedyKind.DROP_SETTING
    for line in remedy.commands:
        desk.paste(line)
    assert desk.installed


def refused(desk: Desk) -> Diagnosis:
    with pytest.raises(TrustError) as failed:
        load(desk.surroundings.decision, environ=desk.environ)
    found = diagnose.diagnose(failed.value, desk.surroundings, desk.user)
    assert found is not None
    return found


def test_plain_http_is_let_pass_last_of_all(desk: Desk) -> None:
    index = SimpleIndex([wheel("demo", "1.0")])
    server = desk.stack.enter_context(Server(index))
    proxy = desk.stack.enter_context(Proxy(names={"index.example": "127.0.0.1"}))
    desk.url = f"http://index.example:{server.port}/simple/"
    desk.words += ["--index-url", desk.url, "--proxy", proxy.url]
    error = InsecureLocationError("plain", url=desk.url)
    found = diagnose.diagnose(error, desk.surroundings, desk.user)
    assert found is not None
    (remedy,) = [each for each in found.remedies if each.commands]
    assert remedy is found.remedies[-1]
    assert remedy.risk
    desk.paste(remedy.commands[0])
    assert desk.installed


# --------------------------------------------------------------------------------------------
# What the user cannot mend

#: Nothing that he types can help: so nothing is there to be typed.
HOPELESS = (
    *("pypi-expired", "old-protocol", "old-protocol-exempt", "old-cipher"),
    *("client-refused-1.2", "client-refused-1.3"),
    *("refused", "cut", "silent", "plain-http", "ssh", "dns"),
    *("alert-40", "alert-name", "alert-internal", "alert-version", "alert-security"),
    *("alert-unknown-ca", "proxy-403", "proxy-502", "proxy-cut", "proxy-silent", "proxy-ssh"),
    "proxy-expired",
)
#: Nothing but doing without verification, for one host, with its risk.
AT_A_RISK = (
    *("rekeyed", "expired", "expired-elsewhere", "expired-intermediate", "not-yet"),
    *("name", "common-name-only", "wrong-purpose", "wrong-purpose-ca", "not-a-ca"),
    *("ca-may-not-sign", "path-too-long", "constraints", "critical", "critical-ca"),
    *("weak-signature", "behind-tls-proxy"),
)
ANIMALS = {each.id: each for each in (*zoo.CERTIFICATES, *zoo.HANDSHAKES, *zoo.ROUTES)}


@pytest.mark.parametrize("name", [*HOPELESS, *AT_A_RISK])
def test_what_cannot_be_mended_offers_nothing_that_would(name: str, keeper: Keeper) -> None:
    url = ANIMALS[name].build(keeper)
    user = User(words=("install", "-i", url, "demo"))
    found = diagnose.diagnose_url(url, keeper.surroundings, user)
    assert found.remedies
    commands = [each for each in found.remedies if each.commands or each.lasting]
    assert all(each.kind is RemedyKind.TRUST_HOST and each.risk for each in commands)
    assert bool(commands) is (name in AT_A_RISK)
