"""Every animal of the zoo from the command line: what is told, once, and how the command ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from cryptography.x509.oid import NameOID

from diagnose import zoo
from diagnose.command_line import Run, Told, install, runner, words_of
from diagnose.zoo import Animal, Keeper
from kedge.diagnose.evidence import Cause
from kedge.diagnose.remedies import TRUSTSTORE_ISSUES
from kedge.model import PYPI_HOSTS, NetworkOrigin, Origin, OriginKind, Sourced
from support import pki
from support.proxies import Proxy
from support.servers import Response

Specifics = Callable[[Keeper], Sequence[str]]


def nothing(keeper: Keeper) -> Sequence[str]:
    return ()


def named(key: str, *more: str) -> Specifics:
    """The certificate's name and fingerprint, and what else."""

    def specifics(keeper: Keeper) -> Sequence[str]:
        certificate = keeper.notes[key]
        return (common_name(certificate), fingerprint(certificate), *more)

    return specifics


def ends(key: str) -> Specifics:
    return lambda keeper: (minute(keeper.notes[key].certificate.not_valid_after_utc),)


def begins(key: str) -> Specifics:
    return lambda keeper: (minute(keeper.notes[key].certificate.not_valid_before_utc),)


def words(*given: str) -> Specifics:
    return lambda keeper: given


def proxy(*more: str) -> Specifics:
    """The proxy's address and the setting that names it."""

    def specifics(keeper: Keeper) -> Sequence[str]:
        assert keeper.proxy is not None
        return (NetworkOrigin.of(keeper.proxy.value).hostport, "--proxy", *more)

    return specifics


def minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def common_name(certificate: pki.Certificate) -> str:
    (name,) = certificate.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def fingerprint(certificate: pki.Certificate) -> str:
    return ":".join(re.findall("..", certificate.fingerprint)).upper()


#: What must stand there beside the code: which certificate, date, name, issuer, file, setting.
SPECIFICS: dict[str, Specifics] = {
    "private-root-presented": named("root"),
    "stale-bundle": named("new", "stale.pem", "another key"),
    "zscaler": words("Zscaler Root CA", PYPI_HOSTS[0]),
    "self-signed": named("leaf"),
    "missing-aia": words("Corp Issuing", zoo.AIA_URL),
    "missing-known": words("bridge.pem", "REQUESTS_CA_BUNDLE"),
    "rekeyed": named("old", "Corp Issuing"),
    "expired": ends("leaf"),
    "expired-intermediate": named("issuing"),
    "expired-anchor": ends("root"),
    "not-yet": begins("leaf"),
    "clock-slow": words("10 days behind"),
    "name": words("other.example", "localhost"),
    "not-a-ca": named("issuing"),
    "constraints": named("issuing", "localhost"),
    "critical": named("leaf", "1.3.6.1.4.1.99999.7"),
    "wrong-purpose": named("leaf", "serverAuth"),
    "weak-key": named("leaf", "RSA 1024"),
    "weak-signature": named("leaf", "SHA-1"),
    "strict": words("--strict-certs"),
    "old-protocol": words("TLS 1.1"),
    "old-protocol-exempt": words("TLS 1.1", "--trusted-host"),
    "old-cipher": words("CAMELLIA256-SHA"),
    "alert-40": words("alert 40"),
    "client-1.3": words("--client-cert"),
    "client-refused-1.3": words("--client-cert on the command line"),
    "nginx-400-own": words("--client-cert on the command line", "400"),
    "ssh": words("SSH-2.0-OpenSSH_9.9"),
    "proxy-407": proxy("407"),
    "proxy-403": proxy("403"),
    "proxy-gone": proxy("refused"),
    "proxy-untrusted": proxy("Proxy Root"),
    "portal": words("http://portal.hotel.example.net/login", "index.example"),
    "sign-in": words("Hotel Wi-Fi", "/simple/demo/"),
    "pdf": words("application/pdf"),
    "to-http": words("http://files.example/x/"),
    "bad-bundle": words("page.pem", "--cert", "HTML"),
    "no-store": words("none.pem", "--use-feature"),
    "plain-address": words("http://index.example", "--trusted-host index.example:80"),
}
ANIMALS = (*zoo.CERTIFICATES, *zoo.HANDSHAKES, *zoo.ROUTES, *zoo.COMMANDS)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_every_cause_has_an_animal() -> None:
    assert {cause for animal in ANIMALS for cause in animal.causes} == set(Cause)
    assert len(ANIMALS) >= 60


@pytest.mark.parametrize("animal", [pytest.param(each, id=each.id) for each in ANIMALS])
def test_what_is_told(animal: Animal, keeper: Keeper, run: Run) -> None:
    told = install(run, keeper, animal.build(keeper))
    assert told.code == 1
    assert told.stdout == ""
    assert told.causes == tuple(cause.value for cause in animal.told or animal.causes)
    assert told.stderr.count("error: ") == 1
    assert "Failed: " not in told.stderr  # which peer it was, the error has said
    assert _repeated(told) == []
    for specific in SPECIFICS.get(animal.id, nothing)(keeper):
        assert specific in told.stderr


def _repeated(told: Told) -> list[str]:
    """Sentences that stand there twice, whatever is printed before them."""
    lines = [line.strip() for line in told.stderr.splitlines()]
    sentences = [line.partition(": ")[2] or line for line in lines if line.endswith(".")]
    return [each for each in sentences if sentences.count(each) > 1]


@pytest.mark.parametrize(
    "name",
    [
        "refused",
        "silent",
        "hangs-up",
        "proxy-407",
        "proxy-gone",
        "sign-in",
        "to-http",
        "bad-bundle",
    ],
)
def test_the_code_alone_follows_where_the_error_has_said_it(
    name: str, keeper: Keeper, run: Run
) -> None:
    animal = next(each for each in ANIMALS if each.id == name)
    told = install(run, keeper, animal.build(keeper))
    lines = told.stderr.splitlines()
    after = lines[lines.index(f"Cause: {animal.causes[0].value}") + 1]
    assert not after.strip()


@pytest.mark.parametrize(
    ("other", "same", "code"),
    [
        ("files.sample", True, "tls-interception"),
        ("files.sample", False, "untrusted-root"),
        ("files.corp.example", True, "untrusted-root"),
    ],
    ids=["one issuer", "another issuer", "one organisation's hosts"],
)
def test_an_unknown_issuer_of_unrelated_indexes_is_an_interceptor(
    other: str, same: bool, code: str, keeper: Keeper, run: Run
) -> None:
    root, another = pki.authority("Corp Inspection"), pki.authority("Other Root")
    issuer = root if same else another
    first = keeper.serves(root.leaf("index.corp.example"))
    second = keeper.serves(issuer.leaf(other))
    names = {"index.corp.example": "127.0.0.1", other: "127.0.0.1"}
    proxy = keeper.stack.enter_context(Proxy(names=names))
    keeper.uses(proxy.url)
    words = ["--extra-index-url", second.replace("localhost", other)]
    told = install(run, keeper, first.replace("localhost", "index.corp.example"), *words)
    assert told.causes == (code,)
    assert (other in told.stderr.partition("Cause: ")[2].partition("Remedy")[0]) is (
        code == "tls-interception"
    )
    assert {request.method for server in keeper.servers for request in server.requests} <= {"HEAD"}


@pytest.mark.parametrize("truststore", [True, False])
def test_what_nothing_explains_says_whom_to_ask(
    keeper: Keeper, run: Run, monkeypatch: pytest.MonkeyPatch, truststore: bool
) -> None:
    """With the flag truststore itself was asked, and refuses it, too."""
    url = zoo.out_of_all_order(keeper)
    if truststore:
        store = keeper.bundle(keeper.notes["root"], name="store.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(store))
        flag = Origin(OriginKind.COMMAND_LINE, "--use-feature=truststore")
        keeper.settings = {"truststore": Sourced(True, flag)}
    told = install(run, keeper, url)
    assert told.code == 1
    assert told.causes == ()
    assert "format error in certificate's notAfter field" in told.stderr
    assert (TRUSTSTORE_ISSUES in told.stderr) is truststore
    assert f"-connect localhost:{keeper.servers[0].port}" in told.stderr
    assert "--trusted-host" not in told.stderr


COMMANDS_THAT_CONNECT = {
    "install": ("install", "--target", "out", "-i", "{index}", "demo", "other", "more"),
    "download": ("download", "-d", "out", "-i", "{index}", "demo", "other", "more"),
    "requirements": ("install", "--target", "out", "-r", "{host}/requirements.txt"),
    "constraints": ("install", "--target", "out", "demo", "-c", "{host}/constraints.txt"),
    "find-links": ("install", "--target", "out", "--no-index", "-f", "{host}/", "demo"),
    "direct": ("install", "--target", "out", "demo @ {host}/demo-1.0-py3-none-any.whl"),
    "outdated": ("list", "--outdated", "-i", "{index}"),
}


@pytest.mark.parametrize("command", COMMANDS_THAT_CONNECT)
def test_every_command_that_connects_tells_the_same_once(
    command: str, keeper: Keeper, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(keeper.folder)
    index = zoo.private_root_presented(keeper)
    host = index.removesuffix("/simple/")
    line = [word.format(index=index, host=host) for word in COMMANDS_THAT_CONNECT[command]]
    told = run(*line)
    assert told.code == 1
    assert told.stdout == ""
    assert told.causes == ("untrusted-root",)
    assert told.stderr.count("error: ") == 1
    assert fingerprint(keeper.notes["root"]) in told.stderr
    assert any("--extra-cert" in each for each in told.commands)
    refused = [each for each in keeper.servers[0].handshakes if each.problem]
    assert all(request.method == "HEAD" for request in keeper.servers[0].requests)
    # Each of the pages that were begun, and each choice of anchors: nothing is tried again.
    pages = 3 if command in {"install", "download"} else 1
    assert command == "outdated" or len(refused) <= pages + 3


def test_a_bundle_that_is_none_is_told_by_what_only_reads_it(keeper: Keeper, run: Run) -> None:
    zoo.bad_bundle(keeper)
    told = run("trust", "show", *words_of(keeper))
    assert (told.code, told.causes) == (1, ("bad-bundle",))
    assert "page.pem" in told.stderr


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_status_is_no_failure_of_the_connection(status: int, keeper: Keeper, run: Run) -> None:
    url = zoo.answering(Response(status))(keeper)
    told = install(run, keeper, url)
    assert told.code == 1
    assert told.causes == ()
    assert "Remedy" not in told.stderr
