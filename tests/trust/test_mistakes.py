"""What is not a bundle is refused before the network, and is told by its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from kedge import trust
from kedge.errors import BundleError
from kedge.model import Origin, OriginKind, Sourced
from kedge.trust.mistakes import MistakeKind
from support.pki import Authority, authority, pem_block, pkcs7_file

CA = authority("Mistaken Root")
ORIGIN = Origin(OriginKind.FILE, "cert", "/etc/pip.conf", "global", 7)

ENCRYPTED_KEY = CA.key.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"secret"),
)
KEY_DER = CA.key.private_bytes(
    serialization.Encoding.DER,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
ENCRYPTED_KEY_DER = CA.key.private_bytes(
    serialization.Encoding.DER,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"secret"),
)
SEC1_KEY_DER = CA.key.private_bytes(
    serialization.Encoding.DER,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
)
PROTECTED_BLOCK = CA.pem.replace(
    b"CERTIFICATE-----\n",
    b"CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
    1,
)
ENVELOPED = bytes.fromhex("300f06092a864886f70d010703a0020500")

# What is in the file; words that the message or the hint must say.
MISTAKES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "only blanks": (b" \n\n", "is empty"),
    "a text": (b"ask IT for the certificate\n", "no certificate"),
    "base64 without markers": (CA.pem.split(b"-----")[2], "no certificate"),
    "a private key": (CA.key_pem, "private key"),
    "an encrypted private key": (ENCRYPTED_KEY, "encrypted private key"),
    "a certificate with its key": (CA.pem + CA.key_pem, "private key"),
    "a key before the certificate": (CA.key_pem + CA.pem, "private key"),
    "a key in DER": (KEY_DER, "private key"),
    "a SEC1 key in DER": (SEC1_KEY_DER, "private key"),
    "an encrypted key in DER": (ENCRYPTED_KEY_DER, "encrypted private key"),
    "an HTML page": (b"<!DOCTYPE html>\n<html><title>Sign in</title></html>", "HTML"),
    "an HTML page without a doctype": (b"\n <HTML><body>403</body></HTML>", "HTML"),
    "an HTML page in UTF-16": ("<!doctype html><html>".encode("utf-16"), "HTML"),
    "an encrypted certificate": (PROTECTED_BLOCK, "encrypted"),
    "OpenSSL's encryption": (b"Salted__" + bytes(40), "encrypted"),
    "a PGP message": (pem_block("PGP MESSAGE", b"x" * 30), "encrypted"),
    "enveloped PKCS#7": (ENVELOPED, "encrypted"),
    "PKCS#12": (CA.pkcs12(), "PKCS#12"),
    "a Java keystore": (b"\xfe\xed\xfe\xed\0\0\0\x02", "Java keystore"),
    "a request": (pem_block("CERTIFICATE REQUEST", b"0\0"), "request"),
    "an old request": (pem_block("NEW CERTIFICATE REQUEST", b"0\0"), "request"),
    "a public key": (pem_block("PUBLIC KEY", b"0\0"), "public key"),
    "an SSH key": (b"ssh-ed25519 AAAAC3Nz you@example.org\n", "public key"),
    "a revocation list": (pem_block("X509 CRL", b"0\0"), "revocation list"),
    "an LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid x\n", "LFS"),
    "PKCS#7 without a certificate": (
        bytes.fromhex("302306092a864886f70d010702a0163014020101310030")
        + bytes.fromhex("0b06092a864886f70d0107013100"),
        "no certificate",
    ),
}


def refused(path: Path | str) -> BundleError:
    decision = trust.decide(trust.TrustSettings(cert=Sourced(str(path), ORIGIN)))
    with pytest.raises(BundleError) as caught:
        trust.load(decision, environ={})
    error = caught.value
    assert error.origin == ORIGIN
    assert error.path in error.message
    assert str(ORIGIN) in error.message
    assert error.hint
    return error


@pytest.mark.parametrize(("raw", "words"), list(MISTAKES.values()), ids=list(MISTAKES))
def test_mistake(raw: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bundle.pem"
    path.write_bytes(raw)
    error = refused(path)
    assert error.path == str(path)
    assert words.lower() in error.message.lower()


def test_the_private_key_is_pointed_at(tmp_path: Path) -> None:
    path = tmp_path / "bundle.pem"
    path.write_bytes(b"# ours\n" + CA.pem + CA.key_pem)
    error = refused(path)
    lines = path.read_text().splitlines()
    assert error.block == 2
    assert error.line is not None
    assert "PRIVATE KEY" in lines[error.line - 1]
    assert CA.key_pem.decode().splitlines()[1] not in error.message


class TestPaths:
    def test_missing(self, tmp_path: Path) -> None:
        assert "does not exist" in refused(tmp_path / "no.pem").message

    def test_missing_relative_says_where_it_was_looked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert str(tmp_path) in (refused("no.pem").hint or "")

    def test_through_a_file(self, tmp_path: Path) -> None:
        CA.write_pem(tmp_path / "ca.pem")
        assert "does not exist" in refused(tmp_path / "ca.pem" / "more.pem").message

    def test_dangling_link(self, tmp_path: Path) -> None:
        (tmp_path / "link.pem").symlink_to(tmp_path / "gone.pem")
        assert "gone.pem" in refused(tmp_path / "link.pem").message

    def test_impossible(self) -> None:
        assert "cannot be read" in refused("a\0b.pem").message

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
    def test_endless(self) -> None:
        assert "larger than" in refused("/dev/zero").message

    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything"
    )
    @pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
    def test_unreadable(self, tmp_path: Path, folder: bool) -> None:
        path = tmp_path / "locked"
        path.mkdir() if folder else CA.write_pem(path)
        path.chmod(0)
        try:
            assert "cannot be read" in refused(path).message
        finally:
            path.chmod(0o700)


class TestFolders:
    def test_empty(self, tmp_path: Path) -> None:
        assert "empty folder" in refused(tmp_path).message

    @pytest.mark.parametrize(
        "fill",
        [
            lambda folder: (folder / "README").write_text("nothing here"),
            lambda folder: (folder / "key.pem").write_bytes(CA.key_pem),
            lambda folder: (folder / "link").symlink_to("nowhere"),
            lambda folder: (folder / "inner").mkdir(),
            lambda folder: (folder / "both.pem").write_bytes(CA.pem + CA.key_pem),
        ],
        ids=["text", "key", "dangling", "folder", "certificate with key"],
    )
    def test_without_a_certificate_file(
        self, fill: Callable[[Path], object], tmp_path: Path
    ) -> None:
        fill(tmp_path)
        error = refused(tmp_path)
        assert error.path == str(tmp_path)
        assert "without any certificate" in error.message

    @pytest.mark.parametrize(
        ("old", "new"), [(b"M", b""), (b"-----BEGIN", b"----BEGIN")], ids=["inside", "marker"]
    )
    def test_a_damaged_file_is_not_foreign(
        self, old: bytes, new: bytes, tmp_path: Path, private_ca: Authority
    ) -> None:
        private_ca.write_pem(tmp_path / "good.pem")
        (tmp_path / "worse.pem").write_bytes(CA.pem.replace(old, new, 1))
        assert refused(tmp_path).path == str(tmp_path / "worse.pem")


def test_every_mistake_has_a_kind_of_its_own() -> None:
    from kedge.trust import contents

    kinds = set()
    for raw, _ in MISTAKES.values():
        mistake = contents.read(raw).mistake
        assert mistake
        kinds.add(mistake.kind)
    assert kinds == set(MistakeKind)


def test_a_container_keeps_its_certificates_however_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "looks-like.pem"
    path.write_bytes(pkcs7_file(CA))
    decision = trust.decide(trust.TrustSettings(cert=Sourced(str(path), ORIGIN)))
    assert len(list(trust.load(decision, environ={}).sources[0].blocks)) == 1
