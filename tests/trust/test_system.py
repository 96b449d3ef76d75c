"""The system's store where it is files: kedge and ``truststore`` come to the same verdict."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import truststore
import truststore._openssl

from kedge import trust
from kedge.errors import EmptySystemStoreError
from kedge.model import Origin, OriginKind, Sourced, TrustDecision
from kedge.trust import hashed, names
from kedge.trust.files import CA_FILE_CANDIDATES, CompiledIn, locate
from kedge.trust.profile import verify_flags
from support.handshakes import ACCEPTED, UNTRUSTED, verify_code
from support.pki import (
    SERVER_AUTH,
    Authority,
    Certificate,
    authority,
    misdated_der,
    pem_block,
    pem_file,
    pkcs7_file,
    self_signed,
    subject_hash,
    trusted_block,
)
from support.surroundings import MACHINE

FEATURE = Origin(OriginKind.COMMAND_LINE, "--use-feature")

A, B = authority("Root A"), authority("Root B")
TWIN = authority("Root A")  # the same subject, another key
SELF = self_signed("localhost")
BROKEN = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
HA, HB = subject_hash(A), subject_hash(B)


def system() -> TrustDecision:
    return trust.decide(trust.TrustSettings(truststore=Sourced(True, FEATURE)))


@dataclass(frozen=True)
class Store:
    """What stands in ``SSL_CERT_FILE`` (``None``: a path that leads nowhere) and in the folders
    of ``SSL_CERT_DIR``, and whether truststore lets a server of A in (``None``: that depends on
    the order in which the file system lists a folder)."""

    file: bytes | None
    folders: tuple[Mapping[str, bytes], ...]
    passes: bool | None
    server: Certificate = A
    #: The release of OpenSSL that does so; older ones are not asked.
    since: tuple[int, ...] = ()


CASES = {
    "in the file": Store(A.pem, ({},), True),
    "in the file, among others": Store(pem_file(B, A, comments=True), ({},), True),
    "not in the file": Store(B.pem, ({},), False),
    "in the folder": Store(None, ({f"{HA}.0": A.pem},), True),
    "in the folder, beside a file": Store(B.pem, ({f"{HA}.0": A.pem},), True),
    "in the folder, under a plain name": Store(None, ({"a.pem": A.pem, f"{HB}.0": B.pem},), False),
    "under another's name": Store(None, ({f"{HB}.0": A.pem},), False),
    "second of one name": Store(None, ({f"{HA}.0": B.pem, f"{HA}.1": A.pem},), True),
    "a gap in the numbers": Store(None, ({f"{HA}.1": A.pem},), True),
    "a high number": Store(B.pem, ({f"{HA}.12": A.pem},), True),
    "upper case": Store(B.pem, ({f"{HA.upper()}.0": A.pem},), True),
    "named like a revocation list": Store(B.pem, ({f"{HA}.r0": A.pem},), True),
    "DER in the folder": Store(B.pem, ({f"{HA}.0": A.der},), True),
    "PKCS#7 in the folder": Store(B.pem, ({f"{HA}.0": pkcs7_file(A, pem=True)},), False),
    "with its key": Store(B.pem, ({f"{HA}.0": A.key_pem + A.pem},), True),
    "after damage in the same file": Store(B.pem, ({f"{HA}.0": BROKEN + A.pem},), False),
    "before damage in the same file": Store(B.pem, ({f"{HA}.0": A.pem + BROKEN},), True),
    "its name taken in the file": Store(TWIN.pem, ({f"{HA}.0": A.pem},), False),
    "its name taken in the first folder": Store(
        B.pem, ({f"{HA}.0": TWIN.pem}, {f"{HA}.0": A.pem}), False
    ),
    "after a damaged file": Store(B.pem, ({f"{HA}.0": BROKEN, f"{HA}.1": A.pem},), None),
    "after a text": Store(B.pem, ({f"{HA}.0": b"hello", f"{HA}.1": A.pem},), None),
    "after a damaged file, in two folders": Store(
        B.pem, ({f"{HA}.0": BROKEN, f"{HA}.1": A.pem}, {}), True, since=(3, 0, 0, 22)
    ),
    "after DER, in two folders": Store(
        B.pem, ({f"{HA}.0": A.der, f"{HA}.1": A.pem}, {}), True, since=(3, 0, 0, 22)
    ),
    "after another in the same file": Store(B.pem, ({f"{HA}.0": TWIN.pem + A.pem},), True),
    "two in one file, named for the first": Store(None, ({f"{HB}.0": B.pem + A.pem},), False),
    "a text in the folder": Store(B.pem, ({f"{HA}.0": b"hello"},), False),
    "two folders, the second": Store(B.pem, ({}, {f"{HA}.0": A.pem}), True),
    "two folders without a file": Store(None, ({}, {f"{HA}.0": A.pem}), False),
    "a gap, in two folders": Store(B.pem, ({f"{HA}.1": A.pem}, {}), False),
    "a file of damage": Store(BROKEN, ({f"{HA}.0": A.pem},), True),
    "damage behind it in the file": Store(A.pem + BROKEN, ({f"{HB}.0": B.pem},), False),
    "END lost in the file": Store(
        A.pem.replace(b"-----END CERTIFICATE-----\n", b"") + B.pem, ({},), True
    ),
    "DER as the file": Store(A.der, ({f"{HB}.0": B.pem},), False),
    "PKCS#7 as the file": Store(pkcs7_file(A, pem=True), ({f"{HB}.0": B.pem},), False),
    "UTF-16 as the file": Store(A.pem.decode().encode("utf-16"), ({f"{HB}.0": B.pem},), False),
    "a BOM before the only block": Store(b"\xef\xbb\xbf" + A.pem, ({f"{HB}.0": B.pem},), True),
    "a BOM before another block": Store(b"\xef\xbb\xbf" + B.pem + A.pem, ({},), True),
    "the block behind a BOM": Store(b"\xef\xbb\xbf" + A.pem + B.pem, ({},), True),
    "BEGIN indented": Store(B.pem + b" " + A.pem, ({},), False),
    "a key in the file": Store(A.key_pem + A.pem, ({},), True),
    "trusted for servers": Store(trusted_block(A, trust=[SERVER_AUTH]), ({},), True),
    "rejected": Store(B.pem + trusted_block(A, reject=[SERVER_AUTH]), ({},), False),
    "plain, then rejected": Store(A.pem + trusted_block(A, reject=[SERVER_AUTH]), ({},), True),
    "rejected, then plain": Store(trusted_block(A, reject=[SERVER_AUTH]) + A.pem, ({},), False),
    "rejected in the folder": Store(
        B.pem, ({f"{HA}.0": trusted_block(A, reject=[SERVER_AUTH])},), False
    ),
    "plain in the file, rejected in the folder": Store(
        A.pem, ({f"{HA}.0": trusted_block(A, reject=[SERVER_AUTH])},), True
    ),
    "a server's own": Store(B.pem + SELF.pem, ({},), True, SELF),
    "a server's own, in the folder": Store(
        B.pem, ({f"{subject_hash(SELF)}.0": SELF.pem},), True, SELF
    ),
}


def _arrange(store: Store, tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "file.pem"
    if store.file is not None:
        file.write_bytes(store.file)
    folders = []
    for number, files in enumerate(store.folders):
        folder = tmp_path / f"folder{number}"
        folder.mkdir()
        folders.append(str(folder))
        for name, raw in files.items():
            (folder / name).write_bytes(raw)
    return {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": ":".join(folders)}


def _truststores_verdict(server: Certificate) -> int:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False
    context.verify_flags = verify_flags()
    return verify_code(context, server)


def _kedges_verdict(server: Certificate, environ: Mapping[str, str]) -> int:
    try:
        context = trust.context_for(system(), environ)
    except EmptySystemStoreError:
        return 20  # an error of its own, where truststore lets every handshake fail
    return verify_code(context, server)


@pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO < (3,), reason="OpenSSL 1.1.1 looks up less")
@pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))
def test_same_verdict(case: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _arrange(case, tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(truststore._openssl, "_CA_FILE_CANDIDATES", [])
    monkeypatch.setattr("kedge.trust.files.CA_FILE_CANDIDATES", ())
    server = case.server.leaf("localhost") if isinstance(case.server, Authority) else case.server
    if case.since > ssl.OPENSSL_VERSION_INFO:
        pytest.skip("an older OpenSSL gives up at a damaged file")
    theirs = _truststores_verdict(server)
    assert case.passes in {None, theirs == ACCEPTED}
    ours = _kedges_verdict(server, environ)
    assert (ours == ACCEPTED) == (theirs == ACCEPTED)


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_subject_found_earlier_hides_the_same_one_later(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without key identifiers OpenSSL takes the first of two authorities of one name."""
    first, second = (authority("One Name", identifiers=False) for _ in range(2))
    store = Store(first.pem, ({f"{subject_hash(second)}.0": second.pem},), passes=False)
    environ = _arrange(store, tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    server = (first if where == "file" else second).leaf("localhost")
    ours, theirs = _kedges_verdict(server, environ), _truststores_verdict(server)
    assert (ours == ACCEPTED) == (theirs == ACCEPTED) == (where == "file")


def test_the_candidates_are_truststores() -> None:
    assert list(CA_FILE_CANDIDATES) == truststore._openssl._CA_FILE_CANDIDATES


class TestLocations:
    """Which places count, for a build of OpenSSL whose own places are known."""

    @pytest.fixture
    def compiled_in(self, tmp_path: Path) -> CompiledIn:
        (tmp_path / "folder").mkdir()
        candidates = (str(tmp_path / "first.pem"), str(tmp_path / "second.pem"))
        return CompiledIn(str(tmp_path / "cert.pem"), str(tmp_path / "folder"), candidates)

    @pytest.mark.parametrize(
        ("present", "environ", "files", "folders"),
        [
            ("cert.pem", {}, "cert.pem", "folder"),
            ("folder/0a1b2c3d.0", {}, "cert.pem", "folder"),
            ("folder/unhashed.pem second.pem", {}, "second.pem", ""),
            ("first.pem second.pem", {}, "first.pem", ""),
            ("cert.pem first.pem", {}, "cert.pem", "folder"),
            ("cert.pem mine.pem", {"SSL_CERT_FILE": "mine.pem"}, "mine.pem", "folder"),
            ("cert.pem mine/x", {"SSL_CERT_DIR": "mine"}, "cert.pem", "mine"),
            (
                "cert.pem mine.pem mine/x",
                {"SSL_CERT_FILE": "mine.pem", "SSL_CERT_DIR": "mine"},
                "mine.pem",
                "mine",
            ),
            # A variable that leads nowhere shadows the built-in file all the same.
            ("cert.pem first.pem", {"SSL_CERT_FILE": "gone.pem"}, "first.pem", ""),
            ("folder/0a1b2c3d.0", {"SSL_CERT_FILE": "gone.pem"}, "gone.pem", "folder"),
            ("folder/0a1b2c3d.0 first.pem", {"SSL_CERT_DIR": "gone"}, "first.pem", ""),
            ("", {}, "", ""),
        ],
        ids=[
            "built-in file",
            "built-in folder, hashed",
            "built-in folder, not hashed",
            "first candidate",
            "candidates are the last resort",
            "SSL_CERT_FILE, and the built-in folder",
            "SSL_CERT_DIR, and the built-in file",
            "both variables",
            "SSL_CERT_FILE leads nowhere",
            "SSL_CERT_FILE leads nowhere, hashed folder",
            "SSL_CERT_DIR leads nowhere",
            "nothing anywhere",
        ],
    )
    def test_places(
        self,
        present: str,
        environ: dict[str, str],
        files: str,
        folders: str,
        tmp_path: Path,
        compiled_in: CompiledIn,
    ) -> None:
        for name in present.split():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        given = {name: str(tmp_path / value) for name, value in environ.items()}
        found = locate(given, compiled_in)
        assert found.files == tuple(str(tmp_path / name) for name in files.split())
        assert found.folders == tuple(str(tmp_path / name) for name in folders.split())
        missing = [value for value in given.values() if not Path(value).exists()]
        assert all(any(path in warning for warning in found.warnings) for path in missing)

    def test_an_empty_variable_is_not_the_working_folder(
        self, tmp_path: Path, compiled_in: CompiledIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / f"{HA}.0").write_bytes(A.pem)
        monkeypatch.chdir(tmp_path / "work")
        found = locate({"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}, compiled_in)
        assert (found.files, found.folders) == ((), ())
        assert len(found.warnings) == 2

    def test_a_folder_without_hashed_names_is_told(
        self, tmp_path: Path, compiled_in: CompiledIn
    ) -> None:
        A.write_pem(tmp_path / "folder" / "a.pem")
        found = locate({"SSL_CERT_DIR": str(tmp_path / "folder")}, compiled_in)
        assert any("rehash" in warning for warning in found.warnings)


class TestEmpty:
    @pytest.mark.parametrize(
        "store",
        [
            Store(None, ({},), passes=False),
            Store(b"", ({},), passes=False),
            Store(BROKEN, ({},), passes=False),
            Store(None, ({f"{HA}.0": BROKEN},), passes=False),
            Store(trusted_block(A, reject=[SERVER_AUTH]), ({},), passes=False),
        ],
        ids=["nothing", "an empty file", "damage", "damage in the folder", "only rejects"],
    )
    def test_is_an_error_of_its_own(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kedge.trust.files.CA_FILE_CANDIDATES", ())
        environ = _arrange(store, tmp_path)
        with pytest.raises(EmptySystemStoreError) as caught:
            trust.load(system(), environ=environ)
        error = caught.value
        assert error.origin == FEATURE
        assert "--use-feature" in error.message
        assert any(str(tmp_path) in place for place in error.looked_in)

    def test_a_bundle_beside_it_does_not_hide_it(
        self, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kedge.trust.files.CA_FILE_CANDIDATES", ())
        decision = trust.decide(
            trust.TrustSettings(
                truststore=Sourced(True, FEATURE),
                extra_certs=(
                    Sourced(str(bundle), Origin(OriginKind.COMMAND_LINE, "--extra-cert")),
                ),
            )
        )
        with pytest.raises(EmptySystemStoreError):
            trust.load(decision, environ=_arrange(Store(None, ({},), passes=False), tmp_path))


class TestPassedOver:
    def test_dangling_links_and_foreign_files(self, tmp_path: Path) -> None:
        store = Store(B.pem, ({f"{HA}.0": b"hello", "README": b"hello"},), passes=False)
        environ = _arrange(store, tmp_path)
        (tmp_path / "folder0" / "0a1b2c3d.0").symlink_to("gone.pem")
        anchors = trust.load(system(), environ=environ)
        named = [name for name in (f"{HA}.0", "0a1b2c3d.0", "README") if name in str(anchors)]
        assert named == [f"{HA}.0", "0a1b2c3d.0"]
        assert verify_code(trust.make_context(anchors), B.leaf("localhost")) == ACCEPTED

    def test_what_openssl_alone_refuses(self, tmp_path: Path) -> None:
        """A certificate whose outline is sound, and whose inside is not."""
        odd = pem_block("CERTIFICATE", misdated_der(A))
        store = Store(B.pem, ({f"{HA}.0": odd},), passes=False)
        anchors = trust.load(system(), environ=_arrange(store, tmp_path))
        assert any(f"{HA}.0" in warning for warning in anchors.warnings)
        for context in (trust.make_context(anchors), trust.make_context(anchors)):
            assert verify_code(context, B.leaf("localhost")) == ACCEPTED
            assert verify_code(context, A.leaf("localhost")) in UNTRUSTED


def test_the_store_is_read_once(tmp_path: Path) -> None:
    environ = _arrange(Store(A.pem, ({},), passes=True), tmp_path)
    context = trust.context_for(system(), environ)
    (tmp_path / "file.pem").write_bytes(B.pem)
    (tmp_path / "folder0" / f"{HB}.0").write_bytes(B.pem)
    assert verify_code(context, A.leaf("localhost")) == ACCEPTED
    assert verify_code(context, B.leaf("localhost")) in UNTRUSTED


class TestNameHash:
    """OpenSSL itself says what the names of hashed folders are."""

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="not here: openssl")
    @pytest.mark.parametrize(
        "text",
        ["Plain", "  Two   Blanks ", "ÄÖÜ mixed Case", "tab\tin it", "漢字", "a@b.example"],
    )
    def test_agrees_with_openssl(self, text: str) -> None:
        certificate = authority(text)
        said = subprocess.run(
            ["openssl", "x509", "-noout", "-subject_hash"],
            input=certificate.pem,
            capture_output=True,
            check=True,
        )
        ours = names.name_hash(names.canonical_subject(certificate.der))
        assert ours == said.stdout.decode().strip()

    def test_agrees_with_the_machines_own_folder(self) -> None:
        folder = Path(MACHINE.get("SSL_CERT_DIR", "/etc/ssl/certs"))
        links = [link for link in folder.glob("????????.0") if link.is_file()]
        if not links:
            pytest.skip("this machine has no hashed folder")
        lookup = hashed.HashedLookup()
        lookup.read([str(folder)])
        assert {Path(file.path).name for file in lookup.files} >= {link.name for link in links}
