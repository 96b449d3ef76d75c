"""Which remedies are offered, in which order, and which never."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from diagnose import zoo
from diagnose.zoo import Animal, Keeper
from kedge import diagnose
from kedge.diagnose import RemedyKind, User
from kedge.diagnose.capture import Capture
from kedge.diagnose.chain import Chain
from kedge.diagnose.comparison import Contender, Role, Verdict
from kedge.diagnose.evidence import Cause, Evidence, Finding
from kedge.diagnose.examine import examine
from kedge.diagnose.remedies import TRUSTSTORE_ISSUES, find_remedies, mend_source
from kedge.diagnose.route import Place
from kedge.diagnose.sentences import sentence
from kedge.errors import (
    ConnectionFailedError,
    ConnectionTimeoutError,
    HttpStatusError,
    NotAnIndexError,
    NotFoundError,
    PageError,
    VerificationError,
)
from kedge.model import (
    Hop,
    NetworkOrigin,
    Origin,
    OriginKind,
    Sourced,
    StoreKind,
    TrustDecision,
    TrustSource,
)
from support import pki
from support.proxies import Proxy

USER = User(words=("install", "x"))
WAITING = {
    each.id: each for each in (*zoo.ROUTES, *zoo.COMMANDS) if each.causes == (Cause.TIMEOUT,)
}
ANIMALS = {each.id: each for each in (*zoo.CERTIFICATES, *zoo.HANDSHAKES, *zoo.ROUTES)}

OBTAIN, TELL, LOWER = RemedyKind.OBTAIN_ROOT, RemedyKind.TELL_OPERATOR, RemedyKind.TRUST_HOST

#: For some of the zoo: every remedy, in its order.
OFFERED = {
    "private-root": (OBTAIN, LOWER),
    "stale-bundle": (OBTAIN, LOWER),
    "self-signed": (OBTAIN, LOWER),
    "zscaler": (OBTAIN,),
    "github-self-signed": (OBTAIN,),
    "missing-aia": (RemedyKind.FETCH_ISSUER, TELL, LOWER),
    "missing-no-aia": (OBTAIN, TELL, LOWER),
    "missing-known": (RemedyKind.ADD_BUNDLE, TELL),
    "rekeyed": (TELL, LOWER),
    "expired": (TELL, LOWER),
    "pypi-expired": (TELL,),
    "expired-untrusted": (OBTAIN, TELL, LOWER),
    "expired-anchor": (RemedyKind.MEND_BUNDLE, LOWER),
    "name": (RemedyKind.CHECK, TELL, LOWER),
    "common-name-only": (TELL, LOWER),
    "all-three": (OBTAIN, RemedyKind.CHECK, TELL, LOWER),
    "clock-slow": (RemedyKind.SET_CLOCK,),
    "strict": (RemedyKind.DROP_STRICT,),
    "old-protocol": (TELL,),
    "old-cipher": (TELL,),
    "client-1.3": (RemedyKind.CLIENT_CERTIFICATE,),
    "client-refused-1.3": (TELL,),
    "ssh": (RemedyKind.CHECK, TELL),
    "plain-portal": (RemedyKind.SIGN_IN,),
    "portal": (RemedyKind.SIGN_IN,),
    "refused": (RemedyKind.CHECK,),
    "dns": (RemedyKind.CHECK,),
    "proxy-403": (TELL,),
    "proxy-407": (RemedyKind.PROXY_CREDENTIALS,),
    "proxy-gone": (RemedyKind.WITHOUT_PROXY,),
    "proxy-untrusted": (OBTAIN,),
    "proxy-expired": (TELL,),
}


@pytest.mark.parametrize("name", OFFERED)
def test_what_is_offered(name: str, keeper: Keeper) -> None:
    url = ANIMALS[name].build(keeper)
    found = diagnose.diagnose_url(url, keeper.surroundings, USER)
    assert tuple(remedy.kind for remedy in found.remedies) == OFFERED[name]


@pytest.mark.parametrize(("given", "word"), [("", "wants a user"), ("me:wrong@", "refuses the")])
def test_a_proxy_that_refuses_a_password_is_not_said_to_want_one(
    keeper: Keeper, given: str, word: str
) -> None:
    proxy = keeper.stack.enter_context(Proxy(credentials=("me", "right")))
    keeper.uses(proxy.url.replace("://", f"://{given}"))
    found = diagnose.diagnose_url("https://index.example/simple/", keeper.surroundings, USER)
    (remedy,) = found.remedies
    assert remedy.kind is RemedyKind.PROXY_CREDENTIALS
    assert word in remedy.what
    assert "wrong" not in "\n".join(diagnose.lines(found))


def test_no_command_is_offered_that_would_not_do(keeper: Keeper) -> None:
    """The root alone does not mend a chain that has expired as well."""
    url = ANIMALS["expired-untrusted"].build(keeper)
    found = diagnose.diagnose_url(url, keeper.surroundings, USER)
    assert found.remedies[0].kind is OBTAIN
    assert found.remedies[0].commands == ()


def test_what_some_bundle_knows_is_not_to_be_looked_for(keeper: Keeper) -> None:
    url = ANIMALS["untrusted-elsewhere-known"].build(keeper)
    found = diagnose.diagnose_url(url, keeper.surroundings, USER)
    assert OBTAIN not in {remedy.kind for remedy in found.remedies}
    known = found.remedies[0]
    assert known.kind is RemedyKind.CHECK
    assert known.commands == ()
    assert str(keeper.folder / "new.pem") in known.what


@pytest.mark.parametrize("animal", [pytest.param(each, id=each.id) for each in zoo.CERTIFICATES])
def test_what_lowers_protection(animal: Animal, keeper: Keeper) -> None:
    """Last, for this host and port alone, with its risk; never before a public name."""
    url = animal.build(keeper)
    found = diagnose.diagnose_url(url, keeper.surroundings, USER)
    lowering = [each for each in found.remedies if "--trusted-host" in " ".join(each.commands)]
    for remedy in lowering:
        assert remedy is found.remedies[-1]
        assert remedy is not found.remedies[0]
        assert remedy.risk
        assert remedy.commands[0].endswith(
            f"--trusted-host localhost:{url.split('/')[2].split(':')[1]}"
        )
    if "tls-interception" in found.codes or keeper.proxy is not None:
        assert not lowering


@pytest.mark.parametrize("animal", [pytest.param(each, id=each.id) for each in zoo.ROUTES[:12]])
def test_every_report_can_be_written(animal: Animal, keeper: Keeper) -> None:
    url = animal.build(keeper)
    found = diagnose.diagnose_url(url, keeper.surroundings, USER)
    text = "\n".join(diagnose.lines(found))
    assert all(f"Cause: {code}" in text for code in found.codes)
    written = json.loads(json.dumps(diagnose.as_json(found)))
    assert written["version"] == 1
    assert [each["code"] for each in written["causes"]] == list(found.codes)


def test_a_report_shows_what_was_presented_and_what_was_trusted(keeper: Keeper) -> None:
    url = zoo.private_root_presented(keeper)
    found = diagnose.diagnose_url(url, keeper.surroundings, USER)
    text = "\n".join(diagnose.lines(found))
    root = keeper.notes["root"]
    assert root.fingerprint in text.replace(":", "").lower()
    assert root.subject in text
    assert f"{root.certificate.not_valid_after_utc:%Y-%m-%d %H:%M}" in text
    assert str(keeper.decision) in text
    assert str(NetworkOrigin.of(url).port) in text
    written = diagnose.as_json(found)
    assert [each["sha256"] for each in written["presented"]][-1] == root.fingerprint


def test_a_healthy_host_names_the_root_that_vouches(keeper: Keeper) -> None:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    url = keeper.serves(root.intermediate("Issuing").leaf("localhost"))
    found = diagnose.diagnose_url(url, keeper.surroundings, USER)
    assert found.sound
    assert found.remedies == ()
    assert found.vouching is not None
    assert found.vouching.sha256 == root.fingerprint
    assert root.fingerprint in "\n".join(diagnose.lines(found)).replace(":", "").lower()


def test_where_it_ended_at_the_proxy_the_proxy_is_named(keeper: Keeper) -> None:
    found = diagnose.diagnose_url(zoo.proxy_gone(keeper), keeper.surroundings, USER)
    assert keeper.proxy is not None
    assert found.hop is Hop.PROXY
    assert found.peer == NetworkOrigin.of(keeper.proxy.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("proxy-tls-cut", "ECONNRESET"),
        ("proxy-tls-alert", "ALERT_INTERNAL_ERROR"),
        ("proxy-untrusted", "could not be verified"),
        ("proxy-is-plain", "speaks plain HTTP"),
        ("proxy-is-tls", "speaks TLS"),
        ("path-too-long", "path length"),
        ("not-a-ca", "basic constraints"),
        ("ca-may-not-sign", "keyCertSign"),
        ("rekeyed", "another key"),
        ("old-protocol", "TLS 1.1"),
        ("alert-name", "unrecognized_name"),
        ("refused", "ECONNREFUSED"),
        ("common-name-only", "subject alternative names"),
        ("constraints", "allow corp.example alone"),
    ],
)
def test_a_sentence_tells_what_the_cause_alone_does_not(
    name: str, words: str, keeper: Keeper
) -> None:
    url = ANIMALS[name].build(keeper)
    found = diagnose.diagnose_url(url, keeper.surroundings, USER)
    assert words in sentence(found.findings[0])


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_sentence(cause: Cause) -> None:
    finding = Finding(cause=cause, name="a.example", url="https://a.example/")
    assert sentence(finding).endswith(".")


@pytest.mark.parametrize(
    ("manager", "word"), [("apt-get", "apt-get"), ("apk", "apk"), ("", "")], ids=str
)
def test_an_empty_store_is_installed(manager: str, word: str) -> None:
    finding = Finding(cause=Cause.EMPTY_SYSTEM_STORE)
    user = User(words=("install", "x"), package_manager=manager)
    remedy, without = mend_source(finding, user)
    assert without.kind is RemedyKind.DROP_SETTING
    assert bool(remedy.commands) == bool(manager)
    assert not manager or remedy.commands[0].startswith(word)


def test_passwords_of_the_url_are_nowhere(keeper: Keeper) -> None:
    url = zoo.private_root(keeper).replace("https://", "https://user:hunter2@")
    user = User(words=("install", "--index-url", url, "x"))
    found = diagnose.diagnose_url(url, keeper.surroundings, user)
    assert "hunter2" not in "\n".join(diagnose.lines(found)) + str(diagnose.as_json(found))


def test_errors_that_no_connection_is_behind(keeper: Keeper) -> None:
    error = NotFoundError("no such project", name="x")
    assert diagnose.diagnose(error, keeper.surroundings, USER) is None


def test_a_page_that_is_no_index(keeper: Keeper) -> None:
    url = keeper.serves(None)
    error = NotAnIndexError("no index", url=url)
    found = diagnose.diagnose(error, keeper.surroundings, USER)
    assert found is not None
    assert found.codes == ("not-an-index",)
    local = NotAnIndexError("no index", url="file:///tmp/x")
    assert diagnose.diagnose(local, keeper.surroundings, USER) is None
    damaged = PageError("metadata without a name", url=url)
    assert diagnose.diagnose(damaged, keeper.surroundings, USER) is None


def test_the_error_of_a_command_is_examined(keeper: Keeper) -> None:
    url = zoo.self_signed(keeper)
    error = VerificationError(
        "refused",
        url=url,
        peer=NetworkOrigin.of(url),
        hop=Hop.SERVER,
        decision=keeper.decision,
        reason="self-signed certificate",
        verify_code=18,
    )
    found = diagnose.diagnose(error, keeper.surroundings, USER)
    assert found is not None
    assert found.codes == ("self-signed",)


def test_a_failure_that_has_passed_has_no_cause(keeper: Keeper) -> None:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    url = keeper.serves(root.leaf("localhost"))
    error = ConnectionFailedError("cut", url=url, peer=NetworkOrigin.of(url))
    found = diagnose.diagnose(error, keeper.surroundings, USER)
    assert found is not None
    assert found.sound


@pytest.mark.parametrize("name", ["silent", "proxy-silent", "mute"])
def test_what_was_waited_for_in_vain_is_not_waited_for_so_long_again(
    name: str, keeper: Keeper
) -> None:
    """Nobody answers, and the limit, of hours, is not what ends it."""
    url = WAITING[name].build(keeper)
    error = ConnectionTimeoutError("nothing", url=url, peer=NetworkOrigin.of(url))
    found = diagnose.diagnose(error, replace(keeper.surroundings, limit=9999), USER)
    assert found is not None
    assert found.codes == ("timeout",)


def test_so_it_is_where_the_probe_still_got_through(keeper: Keeper) -> None:
    """From the second handshake on nothing comes: the one that verifies is not finished either."""
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    url = keeper.serves(root.leaf("localhost"))
    over, seen = threading.Event(), []
    keeper.stack.callback(over.set)

    def stop(*_: object) -> None:
        seen.append("hello")
        if len(seen) > 1:
            over.wait()

    context = keeper.servers[0].context
    assert context is not None
    context.sni_callback = stop
    error = ConnectionTimeoutError("nothing", url=url, peer=NetworkOrigin.of(url))
    found = diagnose.diagnose(error, keeper.surroundings, USER)
    assert found is not None
    assert found.codes == ("timeout",)


def test_a_status_is_looked_into_where_it_may_be_about_the_connection(keeper: Keeper) -> None:
    url = zoo.like_nginx(keeper)
    wanted = diagnose.diagnose(
        HttpStatusError("400", url=url, status=400), keeper.surroundings, USER
    )
    assert wanted is not None
    assert wanted.codes == ("client-cert-required",)
    other = zoo.like_nginx(keeper)
    absent = HttpStatusError("404", url=other, status=404)
    assert diagnose.diagnose(absent, keeper.surroundings, USER) is None
    assert keeper.servers[1].connections == 0


@pytest.mark.parametrize(("theirs", "word"), [(True, "kedge's fault"), (False, TRUSTSTORE_ISSUES)])
def test_whom_to_ask_where_nothing_explains_it(theirs: bool, word: str) -> None:
    """With the truststore flag on, the failure is repeated with truststore itself."""
    place = Place(NetworkOrigin("https", "a.example", 443))
    decision = TrustDecision((TrustSource(StoreKind.SYSTEM),))
    again = Verdict(contender=Contender(Role.TRUSTSTORE, decision), passed=theirs)
    evidence = Evidence(
        place=place,
        capture=Capture(place=place),
        chain=Chain(),
        verdicts=(again,),
        now=datetime.now(timezone.utc),
    )
    (remedy,) = find_remedies((), evidence, USER)
    assert remedy.kind is RemedyKind.ASK
    assert word in remedy.what


@pytest.mark.parametrize("known", [True, False])
def test_truststore_itself_is_asked_about_what_nothing_explains(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """By handshake: it says the same, and is asked with the system's store alone."""
    monkeypatch.setattr("kedge.diagnose.examine.find_causes", lambda _: ())
    root = pki.authority("Corp Root")
    store = keeper.bundle(root, name="store.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    keeper.environ["SSL_CERT_FILE"] = str(store)
    flag = Origin(OriginKind.COMMAND_LINE, "--use-feature=truststore")
    if known:
        keeper.settings["truststore"] = Sourced(True, flag)
    url = keeper.serves(root.leaf("localhost", validity=pki.EXPIRED))
    found = examine(url, keeper.surroundings)
    asked = found.evidence.verdict(Role.TRUSTSTORE)
    assert (asked is not None) is known
    assert asked is None or asked.verify_code == 10
