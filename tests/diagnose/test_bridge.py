"""What a server forgot to send: fetched, verified by handshake, saved, and good for an install."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from diagnose.command_line import Run, install, runner, words_of
from diagnose.zoo import Keeper, bare, lax_context, sent_with
from kedge.trust.anchors import load
from kedge.trust.context import bridging_context
from support import pki
from support.handshakes import ACCEPTED, verify_code
from support.indexes import SimpleIndex
from support.pki import Authority, Certificate
from support.servers import Request, Response, Server
from support.venvs import versions_in
from support.wheels import wheel

FILE = "missing-issuer.pem"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, keeper: Keeper) -> Run:
    monkeypatch.chdir(keeper.folder)
    return runner(capsys)


class Shop:
    """Where issuers are to be had, over plain HTTP, as is usual."""

    def __init__(self, keeper: Keeper) -> None:
        self.files: dict[str, bytes] = {}
        self.server = keeper.stack.enter_context(Server(self._serve))

    def _serve(self, request: Request) -> Response:
        data = self.files.get(request.path)
        return Response(404) if data is None else Response(200, data)

    def names(self, path: str) -> list[tuple[x509.ExtensionType, bool]]:
        """The extension that leads there."""
        location = x509.UniformResourceIdentifier(f"{self.server.url}{path}")
        described = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
        return [(x509.AuthorityInformationAccess([described]), False)]


@pytest.fixture
def shop(keeper: Keeper) -> Shop:
    return Shop(keeper)


@pytest.fixture
def root(keeper: Keeper) -> Authority:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    return root


def served(keeper: Keeper, certificate: Certificate) -> tuple[str, str]:
    """An index that sends that certificate as it is, and its host."""
    index = SimpleIndex([wheel("demo", "1.0")])
    plain = pki.authority("Unused").leaf("localhost")
    url = keeper.serves(plain, index, context=lax_context(certificate))
    return url, url.split("/")[2]


def fetched(run: Run, keeper: Keeper, host: str) -> tuple[int, str]:
    told = run("trust", "fetch-issuer", host, FILE, *words_of(keeper))
    return told.code, told.stdout + told.stderr


FORMS: dict[str, Callable[[Certificate], bytes]] = {
    "der": lambda each: each.der,
    "pem": lambda each: each.pem,
    "pkcs7": lambda each: pki.pkcs7_file(pki.authority("Another"), each),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_printed_installs(
    form: str, run: Run, keeper: Keeper, shop: Shop, root: Authority
) -> None:
    issuing = root.intermediate("Corp Issuing")
    shop.files["/issuing"] = FORMS[form](issuing)
    leaf = issuing.leaf("localhost", extensions=shop.names("/issuing"))
    url, _ = served(keeper, bare(leaf))
    told = install(run, keeper, url)
    assert told.causes == ("missing-intermediate",)
    assert shop.server.requests == []  # a diagnosis asks nobody but the server
    fetch, again = [each for each in told.commands if "--trusted-host" not in each][:2]
    for line in (fetch, again):
        pasted = line.replace("kedge ", f"{sys.executable} -m kedge ", 1)
        done = subprocess.run(["/bin/sh", "-c", pasted], capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        if line == fetch:
            assert issuing.fingerprint in done.stdout.replace(":", "").lower()
            assert root.fingerprint in done.stdout.replace(":", "").lower()
    assert versions_in(keeper.folder / "out") == {"demo": "1.0"}
    assert [request.headers["Authorization"] for request in shop.server.requests] == [None]


def test_several_are_missing(run: Run, keeper: Keeper, shop: Shop, root: Authority) -> None:
    upper = root.intermediate("Corp Policy", path_length=1, extensions=shop.names("/root"))
    lower = upper.intermediate("Corp Issuing", extensions=shop.names("/upper"))
    shop.files |= {"/upper": upper.der, "/lower": lower.der}
    url, host = served(keeper, bare(lower.leaf("localhost", extensions=shop.names("/lower"))))
    code, _ = fetched(run, keeper, host)
    assert code == 0
    assert (keeper.folder / FILE).read_bytes().count(b"BEGIN CERTIFICATE") == 2
    assert install(run, keeper, url, "--extra-cert", FILE).code == 0


def test_one_of_two_is_missing(run: Run, keeper: Keeper, shop: Shop, root: Authority) -> None:
    upper = root.intermediate("Corp Policy", path_length=1)
    lower = upper.intermediate("Corp Issuing", extensions=shop.names("/upper"))
    shop.files |= {"/upper": upper.der}
    url, _ = served(keeper, sent_with(lower.leaf("localhost"), lower))
    told = install(run, keeper, url)
    assert told.causes == ("missing-intermediate", "untrusted-root")
    assert any("fetch-issuer" in each for each in told.commands)
    assert fetched(run, keeper, url.split("/")[2])[0] == 0
    assert install(run, keeper, url, "--extra-cert", FILE).code == 0


def test_an_anchor_that_is_no_root_will_do(run: Run, keeper: Keeper, shop: Shop) -> None:
    upper = pki.authority("Corp Root").intermediate("Corp Policy", path_length=1)
    lower = upper.intermediate("Corp Issuing")
    keeper.trusts(upper)
    shop.files["/lower"] = lower.der
    _, host = served(keeper, bare(lower.leaf("localhost", extensions=shop.names("/lower"))))
    assert fetched(run, keeper, host)[0] == 0


def test_twice_is_the_same_and_another_file_is_kept(
    run: Run, keeper: Keeper, shop: Shop, root: Authority
) -> None:
    issuing = root.intermediate("Corp Issuing")
    shop.files["/issuing"] = issuing.der
    _, host = served(keeper, bare(issuing.leaf("localhost", extensions=shop.names("/issuing"))))
    assert fetched(run, keeper, host)[0] == fetched(run, keeper, host)[0] == 0
    (keeper.folder / FILE).write_text("mine")
    assert fetched(run, keeper, host)[0] == 1
    assert (keeper.folder / FILE).read_text() == "mine"


# --------------------------------------------------------------------------------------------
# What must never be saved


def unknown_root(shop: Shop, root: Authority) -> Certificate:
    strange = pki.authority("Strange Root")
    shop.files["/x"] = strange.der
    return strange.leaf("localhost", extensions=shop.names("/x"))


def issuer_of_strangers(shop: Shop, root: Authority) -> Certificate:
    issuing = pki.authority("Strange Root").intermediate("Corp Issuing")
    shop.files["/x"] = issuing.der
    return issuing.leaf("localhost", extensions=shop.names("/x"))


def impostor(shop: Shop, root: Authority) -> Certificate:
    """The right name, under the right root, and not the key that signed."""
    shop.files["/x"] = root.intermediate("Corp Issuing").der
    return root.intermediate("Corp Issuing").leaf("localhost", extensions=shop.names("/x"))


def a_leaf_for_a_ca(shop: Shop, root: Authority) -> Certificate:
    """Truly signed by the root, and not allowed to sign."""
    no_ca = root.intermediate("Corp Issuing", is_ca=False)
    shop.files["/x"] = no_ca.der
    return no_ca.leaf("localhost", extensions=shop.names("/x"))


def expired_issuer(shop: Shop, root: Authority) -> Certificate:
    issuing = root.intermediate("Corp Issuing", validity=pki.EXPIRED)
    shop.files["/x"] = issuing.der
    return issuing.leaf("localhost", extensions=shop.names("/x"))


def issuer_for_other_names(shop: Shop, root: Authority) -> Certificate:
    issuing = root.intermediate("Corp Issuing", permitted=(x509.DNSName("corp.example"),))
    shop.files["/x"] = issuing.der
    return issuing.leaf("localhost", extensions=shop.names("/x"))


def nothing_there(shop: Shop, root: Authority) -> Certificate:
    return root.intermediate("Corp Issuing").leaf("localhost", extensions=shop.names("/x"))


def a_page(shop: Shop, root: Authority) -> Certificate:
    shop.files["/x"] = b"<!DOCTYPE html><title>Sign in</title>"
    return nothing_there(shop, root)


def too_much(shop: Shop, root: Authority) -> Certificate:
    shop.files["/x"] = bytes(1 << 20)
    return nothing_there(shop, root)


def says_not_where(shop: Shop, root: Authority) -> Certificate:
    return root.intermediate("Corp Issuing").leaf("localhost")


def nothing_is_missing(shop: Shop, root: Authority) -> Certificate:
    return root.leaf("localhost")


@pytest.mark.parametrize(
    "case",
    [
        unknown_root,
        issuer_of_strangers,
        impostor,
        a_leaf_for_a_ca,
        expired_issuer,
        issuer_for_other_names,
        nothing_there,
        a_page,
        too_much,
        says_not_where,
        nothing_is_missing,
    ],
    ids=lambda each: each.__name__,
)
def test_nothing_is_saved(
    case: Callable[[Shop, Authority], Certificate],
    run: Run,
    keeper: Keeper,
    shop: Shop,
    root: Authority,
) -> None:
    _, host = served(keeper, bare(case(shop, root)))
    code, text = fetched(run, keeper, host)
    assert code == 1
    assert "error: " in text
    assert "bug" not in text
    assert not (keeper.folder / FILE).exists()


def test_a_chain_without_end_is_left(run: Run, keeper: Keeper, shop: Shop, root: Authority) -> None:
    above = pki.authority("Level 9")
    for level in range(8, 0, -1):
        above = above.intermediate(
            f"Level {level}", path_length=None, extensions=shop.names(f"/{level + 1}")
        )
        shop.files[f"/{level}"] = above.der
    _, host = served(keeper, bare(above.leaf("localhost", extensions=shop.names("/1"))))
    assert fetched(run, keeper, host)[0] == 1
    assert len(shop.server.requests) == 4


def test_a_server_that_shows_another_chain_the_second_time_proves_nothing(
    run: Run, keeper: Keeper, shop: Shop, root: Authority
) -> None:
    """What was fetched has to be in the very chain that OpenSSL verified."""
    no_ca = root.intermediate("Corp Issuing", is_ca=False)
    shop.files["/x"] = no_ca.der
    first = lax_context(bare(no_ca.leaf("localhost", extensions=shop.names("/x"))))
    _, host = served(keeper, root.leaf("localhost"))
    honest = keeper.servers[0].context
    assert honest is not None
    seen: list[str] = []

    def swap(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        seen.append(name or "")
        if len(seen) == 1:
            connection.context = first

    honest.sni_callback = swap
    code, text = fetched(run, keeper, host)
    assert code == 1
    assert len(seen) == 2
    assert not (keeper.folder / FILE).exists(), text


@pytest.mark.parametrize("knows", [True, False])
def test_a_link_joins_a_chain_and_ends_none(keeper: Keeper, knows: bool) -> None:
    root = pki.authority("Corp Root")
    issuing = root.intermediate("Corp Issuing")
    keeper.trusts(root if knows else pki.authority("Another"))
    anchors = load(keeper.decision, environ={})
    context = bridging_context(anchors, [issuing.der])
    assert (verify_code(context, bare(issuing.leaf("localhost"))) == ACCEPTED) is knows
    with pytest.raises(ValueError, match="end a chain"):
        bridging_context(anchors, [pki.authority("Strange Root").der])
