"""A few anchors first, all where they do not suffice: the verdict is the whole's in every case."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from kedge import transport
from kedge.cache import open_cache
from kedge.errors import VerificationError
from kedge.model import StoreKind, TrustDecision, TrustSource
from kedge.trust import hints
from kedge.trust.staged import StagedTrust
from support.pki import (
    LOOPBACK,
    SERVER_AUTH,
    Authority,
    Certificate,
    Validity,
    authority,
    damaged_pem,
    hashed_folder,
    pem_block,
    pem_file,
    trusted_block,
)
from support.proxies import Proxy
from support.servers import Request, Response, Server
from transport.sessions import FLAG, Told, make_options

#: What stands between blocks is a comment.
PADDING = b"# nothing\n"

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the platform verifies")


class Memory:
    """Hints, kept in memory, as the text that a file would hold."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def get(self, key: str) -> Mapping[str, Any] | None:
        text = self.texts.get(key)
        found: Mapping[str, Any] | None = None if text is None else json.loads(text)
        return found

    def put(self, key: str, kept: Mapping[str, Any]) -> bool:
        self.texts[key] = json.dumps(kept)
        return True

    def replace(self, change: Callable[[Any], Any]) -> None:
        """Somebody writes into the cache."""
        self.texts = {key: json.dumps(change(json.loads(t))) for key, t in self.texts.items()}


class Run:
    """One run of kedge: its trust, a session on it, and what became of it."""

    def __init__(self, trust: StagedTrust, session: transport.Session) -> None:
        self.trust = trust
        self._session = session

    def get(self, server: Server) -> str:
        """The code with which the server's certificate was refused, or ``accepted``."""
        try:
            self._session.get(server.url + "/")
        except VerificationError as exc:
            return f"{exc.verify_code} {exc.reason} {exc.message.replace(str(server.port), 'PORT')}"
        return "accepted"

    @property
    def anchors(self) -> int:
        """How many anchors the first context holds."""
        return self.trust.context.cert_store_stats()["x509"]


@contextmanager
def run(
    bundle: Path, store: Memory, *, environ: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Run]:
    source = TrustSource(StoreKind.BUNDLE, FLAG, str(bundle))
    if environ is not None:
        source = TrustSource(StoreKind.SYSTEM, FLAG)
    decision = TrustDecision((source,))
    trust = StagedTrust(decision, environ=environ or {}, store=store, warn=lambda _: None)
    with transport.open_session(
        decision, trust.context, make_options(options), Told(), staged=trust
    ) as session:
        yield Run(trust, session)
    trust.remember()


def answer(_: Request) -> Response:
    return Response(body=b"here")


@contextmanager
def serving(certificate: Certificate) -> Iterator[Server]:
    with Server(answer, certificate=certificate) as server:
        yield server


def write(path: Path, *parts: bytes) -> Path:
    path.write_bytes(PADDING + b"".join(parts))
    return path


def twin(original: Authority, issuer: Authority, validity: Validity) -> Authority:
    """Another certificate for the same name and key."""
    start, end = validity.moments()
    old = original.certificate
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject,
        subject_name=old.subject,
        public_key=old.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=start,
        not_valid_after=end,
        extensions=list(old.extensions),
    )
    made = builder.sign(issuer.key, hashes.SHA256())
    return Authority(made, original.key, issuer)


EXPIRED = Validity(-30, -1)


class TestWhatIsLoaded:
    def test_the_second_run_loads_what_vouched_in_the_first(
        self, tmp_path: Path, private_ca: Authority, stranger_ca: Authority
    ) -> None:
        bundle = write(tmp_path / "ca.pem", pem_file(stranger_ca, private_ca))
        store = Memory()
        with serving(private_ca.leaf(*LOOPBACK)) as server:
            with run(bundle, store) as first:
                assert (first.anchors, first.get(server)) == (2, "accepted")
            with run(bundle, store) as second:
                assert (second.anchors, second.get(server)) == (1, "accepted")
                assert not second.trust.is_whole(second.trust.context)
            assert all(not handshake.problem for handshake in server.handshakes)

    def test_another_authoritys_server_brings_in_the_whole_and_is_remembered(
        self, tmp_path: Path, private_ca: Authority, stranger_ca: Authority
    ) -> None:
        others = [authority(f"Kedge Test Other {number}") for number in range(3)]
        bundle = write(tmp_path / "ca.pem", pem_file(*others, stranger_ca, private_ca))
        store = Memory()
        with (
            serving(private_ca.leaf(*LOOPBACK)) as one,
            serving(stranger_ca.leaf(*LOOPBACK)) as two,
        ):
            with run(bundle, store) as first:
                first.get(one)
            with run(bundle, store) as second:
                assert second.anchors == 1
                assert second.get(two) == "accepted"
                assert second.anchors == 5
            with run(bundle, store) as third:
                assert third.anchors == 2
                assert (third.get(one), third.get(two)) == ("accepted", "accepted")
                assert not third.trust.is_whole(third.trust.context)

    def test_nothing_is_learnt_from_what_is_refused(
        self, tmp_path: Path, private_ca: Authority, stranger_ca: Authority
    ) -> None:
        bundle = write(tmp_path / "ca.pem", pem_file(private_ca))
        store = Memory()
        with serving(stranger_ca.leaf(*LOOPBACK)) as server, run(bundle, store) as only:
            assert only.get(server) != "accepted"
        assert store.texts == {}

    def test_a_bundle_that_changed_is_another_bundle(
        self, tmp_path: Path, private_ca: Authority, stranger_ca: Authority
    ) -> None:
        bundle = write(tmp_path / "ca.pem", pem_file(private_ca, stranger_ca))
        store = Memory()
        with serving(private_ca.leaf(*LOOPBACK)) as server:
            with run(bundle, store) as first:
                first.get(server)
            write(bundle, pem_file(stranger_ca))
            with run(bundle, store) as second:
                assert second.get(server) != "accepted"

    def test_the_cache_keeps_hints(self, tmp_path: Path, private_ca: Authority) -> None:
        bundle = write(tmp_path / "ca.pem", pem_file(private_ca))
        with open_cache(tmp_path / "cache") as cache, serving(private_ca.leaf(*LOOPBACK)) as server:
            for whole in (True, False):
                with run(bundle, cache.hints) as each:  # type: ignore[arg-type]
                    assert each.get(server) == "accepted"
                    assert each.trust.is_whole(each.trust.context) is whole
            kept = b"".join(path.read_bytes() for path in cache.hints.folder.iterdir())
        assert b"CERTIFICATE" not in kept
        assert private_ca.pem.splitlines()[2] not in kept

    @linux_only
    def test_a_hashed_folder_is_looked_into_by_name(
        self, tmp_path: Path, private_ca: Authority, stranger_ca: Authority
    ) -> None:
        folder = hashed_folder(tmp_path / "certs", private_ca, stranger_ca)
        filed = authority("Kedge Test Filed Root")
        bundle = write(tmp_path / "ca.pem", pem_file(filed))
        environ = {"SSL_CERT_DIR": str(folder), "SSL_CERT_FILE": str(bundle)}
        store = Memory()
        with (
            serving(private_ca.leaf(*LOOPBACK)) as server,
            serving(filed.leaf(*LOOPBACK)) as other,
        ):
            with run(folder, store, environ=environ) as first:
                assert (first.anchors, first.get(server)) == (3, "accepted")
            with run(folder, store, environ=environ) as second:
                assert (second.anchors, second.get(server)) == (1, "accepted")
                assert not second.trust.is_whole(second.trust.context)
                assert second.get(other) == "accepted"
            with run(folder, store, environ=environ) as third:
                assert (third.anchors, third.get(server), third.get(other)) == (
                    2,
                    "accepted",
                    "accepted",
                )
            # What is trusted is what the folder holds now, and not what it held.
            for path in folder.glob("*.0"):
                if path.read_bytes() == private_ca.pem:
                    path.write_bytes(authority("Kedge Test Private Root").pem)
            with run(folder, store, environ=environ) as last:
                assert last.get(server) != "accepted"

    @linux_only
    @pytest.mark.parametrize("case", [str.lower, str.upper], ids=["lower", "upper"])
    def test_a_subject_that_only_the_folder_holds_is_not_overlooked(
        self,
        tmp_path: Path,
        private_ca: Authority,
        stranger_ca: Authority,
        case: Callable[[str], str],
    ) -> None:
        """A chain that the file's anchors vouch for, and in which OpenSSL would have looked for
        one of the folder's as well: by any case of its name, where there is one folder."""
        folder = hashed_folder(tmp_path / "certs", private_ca)
        for path in folder.iterdir():
            path.rename(folder / case(path.name))
        bundle = tmp_path / "ca.pem"
        bundle.write_bytes(stranger_ca.pem)
        decision = TrustDecision((TrustSource(StoreKind.SYSTEM, FLAG),))
        environ = {"SSL_CERT_DIR": str(folder), "SSL_CERT_FILE": str(bundle)}
        sources = hints.look(decision, environ)
        assert sources is not None
        name = hints.subject_of(stranger_ca.der)
        file = {"anchors": [[0, len(stranger_ca.pem), name]], "subjects": [name]}
        few = sources.select({"sources": [{"file": file, "folder": {"hashes": []}}]})
        assert few is not None
        leaf = stranger_ca.leaf("localhost")
        crossed = twin(stranger_ca, private_ca, Validity()).der
        assert few.covers([leaf.der, stranger_ca.der])
        assert not few.covers([leaf.der, crossed, stranger_ca.der])


def _plain(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    return pem_file(private, stranger), stranger.leaf(*LOOPBACK)


def _unknown(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    return pem_file(private), stranger.leaf(*LOOPBACK)


def _expired_leaf(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    return pem_file(private, stranger), stranger.leaf(*LOOPBACK, validity=EXPIRED)


def _other_name(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    return pem_file(private, stranger), private.leaf("other.example")


def _same_name_other_key(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    other = authority("Kedge Test Private Root", identifiers=False)
    return pem_file(other, private), other.leaf(*LOOPBACK)


def _rejected_elsewhere(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    refused = trusted_block(stranger, reject=[SERVER_AUTH])
    return pem_file(private, stranger) + refused, stranger.leaf(*LOOPBACK)


def _expired_intermediate(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    """The bundle's copy of the intermediate has expired, and OpenSSL takes it first."""
    good = private.intermediate("Kedge Test Issuing CA")
    return pem_file(private, twin(good, private, EXPIRED)), good.leaf(*LOOPBACK)


def _expired_cross_root(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    """A root that has expired, whose name is also signed by one that has not."""
    old = authority("Kedge Test Old Root")
    crossed = twin(old, private, Validity())
    expired = twin(old, old, EXPIRED)
    return pem_file(private, expired), crossed.leaf(*LOOPBACK)


def _own_certificate(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    leaf = stranger.leaf(*LOOPBACK)
    return pem_file(private, leaf), leaf


def _crl(private: Authority, stranger: Authority) -> tuple[bytes, Certificate]:
    now = datetime.now(timezone.utc)
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=private.certificate.subject,
        last_update=now,
        next_update=now + timedelta(days=1),
    )
    listed = builder.sign(private.key, hashes.SHA256())
    from cryptography.hazmat.primitives.serialization import Encoding

    return pem_file(private) + listed.public_bytes(Encoding.PEM), private.leaf(*LOOPBACK)


_CASES = [
    _plain, _unknown, _expired_leaf, _other_name, _same_name_other_key, _rejected_elsewhere,
    _expired_intermediate, _expired_cross_root, _own_certificate, _crl,
]  # fmt: skip


class TestTheVerdict:
    @pytest.mark.parametrize("case", _CASES, ids=lambda case: case.__name__.strip("_"))
    def test_is_the_same_with_hints_and_without(
        self,
        tmp_path: Path,
        private_ca: Authority,
        stranger_ca: Authority,
        case: Callable[[Authority, Authority], tuple[bytes, Certificate]],
    ) -> None:
        """The hints were learnt from another server, whose anchor is the private authority."""
        blocks, certificate = case(private_ca, stranger_ca)
        bundle = write(tmp_path / "ca.pem", blocks)
        store = Memory()
        with serving(private_ca.leaf(*LOOPBACK)) as usual, serving(certificate) as server:
            with run(bundle, Memory()) as fresh:
                expected, accepted = fresh.get(server), fresh.get(usual)
            with run(bundle, store) as first:
                first.get(usual)
            for _ in range(2):
                with run(bundle, store) as second:
                    assert second.get(server) == expected
                with run(bundle, store) as both:
                    assert (both.get(usual), both.get(server)) == (accepted, expected)

    def test_a_refusal_costs_one_handshake_more(
        self, tmp_path: Path, private_ca: Authority, stranger_ca: Authority
    ) -> None:
        bundle = write(tmp_path / "ca.pem", pem_file(private_ca))
        store = Memory()
        with (
            serving(private_ca.leaf(*LOOPBACK)) as usual,
            serving(stranger_ca.leaf(*LOOPBACK)) as server,
            run(bundle, store) as first,
        ):
            first.get(usual)
            first.trust.remember()
            with run(bundle, store) as second:
                for _ in range(2):
                    assert second.get(server) != "accepted"
            assert server.connections == 3  # twice for the first, once for the second
            assert server.requests == []

    @pytest.mark.parametrize("proxy_first", [True, False], ids=["proxy", "server"])
    def test_both_hops_go_on_with_the_whole(
        self, tmp_path: Path, private_ca: Authority, stranger_ca: Authority, proxy_first: bool
    ) -> None:
        bundle = write(tmp_path / "ca.pem", pem_file(private_ca, stranger_ca))
        store = Memory()
        hops = (stranger_ca, private_ca) if proxy_first else (private_ca, stranger_ca)
        with (
            Proxy(certificate=hops[0].leaf(*LOOPBACK), credentials=("ada", "secret")) as proxy,
            serving(hops[1].leaf(*LOOPBACK)) as server,
            serving(private_ca.leaf(*LOOPBACK)) as usual,
        ):
            with run(bundle, store) as first:
                first.get(usual)
            with run(bundle, store, proxy=proxy.authorized_url) as second:
                assert second.anchors == 1
                assert second.get(server) == "accepted"
            assert {entry.status for entry in proxy.entries} == {200}
            assert len(server.requests) == 1


def _in_the_middle(hint: Any) -> Any:
    ((start, length, subject),) = hint["sources"][0]["anchors"]
    return {"sources": [{**hint["sources"][0], "anchors": [[start + 70, length - 70, subject]]}]}


def _anchors(value: Any) -> Callable[[Any], Any]:
    return lambda hint: {"sources": [{**hint["sources"][0], "anchors": value}]}


class TestForgedHints:
    """Whoever writes into the cache must not be trusted by it."""

    @pytest.mark.parametrize(
        "forge",
        [
            lambda _: {},
            lambda _: [],
            lambda _: {"sources": "x"},
            lambda _: {"sources": []},
            lambda _: {"sources": [{}]},
            _in_the_middle,
            _anchors([]),
            _anchors([[-1, 5, "00000000"]]),
            _anchors([[0, 10**9, "00000000"]]),
            _anchors([["0", "9", "00000000"]]),
            _anchors([[0.0, 9.0, "00000000"]]),
            _anchors([[None, None, None]]),
            _anchors(7),
            _anchors([[0]]),
            _anchors("a certificate"),
        ],
    )
    def test_nothing_is_trusted_that_the_bundle_does_not_hold(
        self,
        tmp_path: Path,
        private_ca: Authority,
        stranger_ca: Authority,
        forge: Callable[[Any], Any],
    ) -> None:
        bundle = write(tmp_path / "ca.pem", pem_file(private_ca))
        store = Memory()
        with (
            serving(private_ca.leaf(*LOOPBACK)) as usual,
            serving(stranger_ca.leaf(*LOOPBACK)) as server,
        ):
            with run(bundle, store) as first:
                first.get(usual)
            store.replace(forge)
            with run(bundle, store) as second:
                assert second.trust.is_whole(second.trust.context)
                assert (second.get(usual), second.get(server)[:2]) == ("accepted", "20")

    def test_a_certificate_in_a_hint_is_none(
        self, tmp_path: Path, private_ca: Authority, stranger_ca: Authority
    ) -> None:
        bundle = write(tmp_path / "ca.pem", pem_file(private_ca))
        store = Memory()
        with (
            serving(private_ca.leaf(*LOOPBACK)) as usual,
            serving(stranger_ca.leaf(*LOOPBACK)) as server,
        ):
            with run(bundle, store) as first:
                first.get(usual)
            pem = stranger_ca.pem.decode()
            for forged in ([pem], [[0, len(pem), pem]], [[0, len(pem), "", pem]], [{"pem": pem}]):
                store.replace(_anchors(forged))
                with run(bundle, store) as second:
                    assert second.get(server)[:2] == "20"

    @pytest.mark.parametrize("kind", ["reject", "text", "crl", "windows"])
    def test_a_hint_for_a_file_that_is_not_plain_is_not_followed(
        self, tmp_path: Path, private_ca: Authority, kind: str
    ) -> None:
        """The file's bytes say what it is, whatever the hint claims of it."""
        more = {
            "reject": trusted_block(private_ca, reject=[SERVER_AUTH]),
            "text": "# Vertrauenswürdig\n".encode(),
            "crl": pem_block("X509 CRL", b"\x30\x00"),
            "windows": private_ca.pem.replace(b"\n", b"\r\n"),
        }[kind]
        bundle = write(tmp_path / "ca.pem", pem_file(private_ca), more)
        decision = TrustDecision((TrustSource(StoreKind.BUNDLE, FLAG, str(bundle)),))
        assert hints.look(decision, {}) is None

    @pytest.mark.parametrize(
        ("more", "plain"),
        [
            ("", True),
            ("# a - b --- c\n", True),
            ("# " + 70 * "-" + "\n", True),
            ("-----BEGIN", False),
            ("# " + 70 * "-" + "\n-----BEGIN X509 CRL-----\n", False),
            ("-----BEGIN CERTIFICATE-----\n", False),
            ("-----END CERTIFICATE-----\n", False),
            ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE----- \n", False),
            (
                "-----BEGIN TRUSTED CERTIFICATE-----\nMAA=\n-----END TRUSTED CERTIFICATE-----\n",
                False,
            ),
        ],
    )
    def test_what_stands_beside_plain_blocks(
        self, private_ca: Authority, more: str, plain: bool
    ) -> None:
        for raw in (
            private_ca.pem + more.encode() + private_ca.pem,
            more.encode() + private_ca.pem,
            private_ca.pem + more.encode(),
        ):
            assert hints.is_plain(raw) is plain

    def test_a_block_is_taken_whole(self, private_ca: Authority, stranger_ca: Authority) -> None:
        """Two blocks, or the end of one and the beginning of the next, are no block."""
        raw = PADDING + pem_file(private_ca, stranger_ca)
        source = hints._FilePart("", raw)
        start, length = len(PADDING), len(private_ca.pem)
        good = {"subjects": [], "anchors": [[start, length, ""]]}
        assert source.select(good)[0] == [private_ca.pem.decode()]
        for anchor in (
            [start, len(raw) - start], [start + 1, length], [start, length - 1],
            [start, length + 1], [start - 10, length + 10],
        ):  # fmt: skip
            with pytest.raises(ValueError, match="no block"):
                source.select({"subjects": [], "anchors": [[*anchor, ""]]})

    @pytest.mark.parametrize("kind", ["sound", "letters", "padding", "two", "header", "rest"])
    def test_a_block_that_openssl_reads_in_another_way_is_not_followed(
        self, tmp_path: Path, private_ca: Authority, stranger_ca: Authority, kind: str
    ) -> None:
        """What is loaded first is decoded here: never more than OpenSSL would decode of it."""
        der = private_ca.der
        text = pem_block("CERTIFICATE", der)
        block = {
            "sound": text,
            "letters": text.replace(b"\nM", b"\n!M", 1),
            "padding": text.replace(b"\n-----END", b"====\n-----END"),
            "two": pem_block("CERTIFICATE", der + stranger_ca.der),
            "header": text.replace(b"\nM", b"\nProc-Type: 4\n\nM", 1),
            "rest": pem_block("CERTIFICATE", der + b"\0"),
        }[kind]
        bundle = tmp_path / "ca.pem"
        bundle.write_bytes(block)
        sources = hints.look(TrustDecision((TrustSource(StoreKind.BUNDLE, FLAG, str(bundle)),)), {})
        assert sources is not None
        hint = {"sources": [{"anchors": [[0, len(block), ""]], "subjects": []}]}
        found = sources.select(hint)
        assert (found.certificates if found else None) == ((der,) if kind == "sound" else None)


def test_a_damaged_bundle_is_refused_before_and_after(
    tmp_path: Path, private_ca: Authority, stranger_ca: Authority
) -> None:
    from kedge.errors import BundleError

    bundle = write(tmp_path / "ca.pem", pem_file(private_ca), damaged_pem(stranger_ca))
    store = Memory()
    for _ in range(2):
        with pytest.raises(BundleError, match="damaged in block 2"), run(bundle, store):
            pass
    assert store.texts == {}


def test_a_name_is_read_from_every_kind_of_certificate(private_ca: Authority) -> None:
    below = private_ca.intermediate("Kedge Test Issuing CA")
    leaf = below.leaf("localhost")
    chain: Sequence[bytes] = (leaf.der, below.der, private_ca.der)
    assert hints.names_in(chain) == {
        hints.subject_of(below.der),
        hints.subject_of(private_ca.der),
    }
    with pytest.raises(ValueError, match="no chain"):
        hints.names_in(())
