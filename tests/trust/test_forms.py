"""Every form that a bundle may have: it must let the right server in, and no other."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from kedge import trust
from kedge.model import Origin, OriginKind, Sourced
from support.handshakes import ACCEPTED, UNTRUSTED, verify_code
from support.pki import (
    SERVER_AUTH,
    Authority,
    Certificate,
    authority,
    pem_block,
    pem_file,
    pkcs7_file,
    subject_hash,
    trusted_block,
)

Trusting = Callable[..., ssl.SSLContext]
Load = Callable[..., trust.Anchors]
Maker = Callable[[Certificate, Certificate], bytes]

OTHER = authority("Another Root")
CRL_TEXT = b"-----BEGIN DH PARAMETERS-----\nMAYCAQECAQE=\n-----END DH PARAMETERS-----\n"


def utf16(encoding: str, *, bom: bool) -> Maker:
    def make(ca: Certificate, other: Certificate) -> bytes:
        text = (other.pem + ca.pem).decode().replace("\n", "\r\n")
        return ("\ufeff" if bom else "").encode(encoding) + text.encode(encoding)

    return make


def one_long_line(ca: Certificate, other: Certificate) -> bytes:
    del other
    first, *middle, last = ca.pem.decode().splitlines()
    return f"{first}\n{''.join(middle)}\n{last}\n".encode()


FORMS: dict[str, Maker] = {
    "PEM": lambda ca, _: ca.pem,
    "several blocks": lambda ca, other: pem_file(other, ca),
    "comments": lambda ca, other: pem_file(other, ca, comments=True),
    "comments that are not ASCII": lambda ca, _: "# Főtanúsítvány\n".encode() + ca.pem,
    "comments in Latin-1": lambda ca, _: "# Zertifikat für Köln\n".encode("latin-1") + ca.pem,
    "comments that look like markers": lambda ca, _: (
        b"--- begin corporate roots ---\n# -----BEGIN CERTIFICATE-----\n- END of list\n" + ca.pem
    ),
    "the same certificate twice": lambda ca, _: ca.pem + ca.pem,
    "CRLF": lambda ca, _: ca.pem.replace(b"\n", b"\r\n"),
    "CR alone": lambda ca, _: b"# old Mac\r" + ca.pem.replace(b"\n", b"\r"),
    "no line break at the end": lambda ca, _: ca.pem.rstrip(b"\n"),
    "blanks at line ends": lambda ca, _: ca.pem.replace(b"\n", b"  \n"),
    "base64 on one line": one_long_line,
    "UTF-8 with BOM": lambda ca, _: b"\xef\xbb\xbf" + ca.pem,
    "UTF-16 LE with BOM": utf16("utf-16-le", bom=True),
    "UTF-16 BE with BOM": utf16("utf-16-be", bom=True),
    "UTF-16 LE without BOM": utf16("utf-16-le", bom=False),
    "UTF-16 BE without BOM": utf16("utf-16-be", bom=False),
    "UTF-32 LE": lambda ca, _: ca.pem.decode().encode("utf-32"),
    "UTF-32 BE": lambda ca, _: b"\0\0\xfe\xff" + ca.pem.decode().encode("utf-32-be"),
    "X509 CERTIFICATE": lambda ca, _: ca.pem.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
    "TRUSTED CERTIFICATE": lambda ca, _: trusted_block(ca),
    "TRUSTED for servers": lambda ca, _: trusted_block(ca, trust=[SERVER_AUTH]),
    "TRUSTED among others": lambda ca, other: other.pem + trusted_block(ca) + other.pem,
    "TRUSTED in UTF-16": lambda ca, _: trusted_block(ca).decode().encode("utf-16"),
    "DER": lambda ca, _: ca.der,
    "two in DER": lambda ca, other: other.der + ca.der,
    "PKCS#7 in DER": lambda ca, other: pkcs7_file(other, ca),
    "PKCS#7 in PEM": lambda ca, other: pkcs7_file(other, ca, pem=True),
    "PKCS#7 in BER": lambda ca, other: indefinite(pkcs7_file(other, ca)),
    "PKCS#7 beside PEM": lambda ca, other: other.pem + pkcs7_file(ca, pem=True),
    "parameters beside it": lambda ca, _: CRL_TEXT + ca.pem,
    "a public key beside it": lambda ca, _: pem_block("PUBLIC KEY", b"0\x00") + ca.pem,
}


def indefinite(data: bytes) -> bytes:
    """The outermost SEQUENCE with a length that is not stated."""
    size = 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)
    return b"\x30\x80" + data[size:] + b"\0\0"


@pytest.mark.parametrize("make", list(FORMS.values()), ids=list(FORMS))
def test_file(
    make: Maker, private_ca: Authority, stranger_ca: Authority, tmp_path: Path, trusting: Trusting
) -> None:
    bundle = tmp_path / "bundle"
    bundle.write_bytes(make(private_ca, OTHER))
    context = trusting(bundle)
    assert verify_code(context, private_ca.leaf("localhost")) == ACCEPTED
    assert verify_code(context, stranger_ca.leaf("localhost")) in UNTRUSTED


@pytest.mark.parametrize("make", list(FORMS.values()), ids=list(FORMS))
def test_file_in_a_folder(
    make: Maker, private_ca: Authority, stranger_ca: Authority, tmp_path: Path, trusting: Trusting
) -> None:
    (tmp_path / "unhashed name").write_bytes(make(private_ca, OTHER))
    context = trusting(tmp_path)
    assert verify_code(context, private_ca.leaf("localhost")) == ACCEPTED
    assert verify_code(context, stranger_ca.leaf("localhost")) in UNTRUSTED


class TestFolder:
    def test_every_file_counts(self, tmp_path: Path, trusting: Trusting) -> None:
        roots = [authority(f"Root {number}") for number in range(3)]
        roots[0].write_pem(tmp_path / "a.crt")
        (tmp_path / "b.cer").write_bytes(roots[1].der)
        (tmp_path / "c.p7b").write_bytes(pkcs7_file(roots[2]))
        context = trusting(tmp_path)
        assert [verify_code(context, root.leaf("localhost")) for root in roots] == [0, 0, 0]
        assert context.cert_store_stats()["x509"] == 3

    def test_foreign_files_are_passed_over_with_a_word(
        self, private_ca: Authority, tmp_path: Path, load: Load
    ) -> None:
        private_ca.write_pem(tmp_path / "ca.pem")
        (tmp_path / "README.txt").write_text("Ask IT.\n")
        (tmp_path / "empty").touch()
        (tmp_path / "server.key").write_bytes(private_ca.key_pem)
        (tmp_path / "dangling.pem").symlink_to(tmp_path / "gone.pem")
        (tmp_path / "loop.pem").symlink_to(tmp_path / "loop.pem")
        (tmp_path / ".gitignore").write_text("*\n")
        (tmp_path / "deeper").mkdir()
        private_ca.write_pem(tmp_path / "deeper" / "not-read.pem")
        anchors = load(tmp_path)
        named = {name for name in _names(tmp_path) if any(name in w for w in anchors.warnings)}
        assert named == {"README.txt", "empty", "server.key", "dangling.pem", "loop.pem"}
        assert len(anchors.warnings) == 5
        assert [Path(file.path).name for file in anchors.sources[0].files] == ["ca.pem"]

    @pytest.mark.skipif(not hasattr(__import__("os"), "mkfifo"), reason="no FIFOs here")
    def test_a_fifo_is_not_waited_for(
        self, private_ca: Authority, tmp_path: Path, load: Load
    ) -> None:
        import os

        private_ca.write_pem(tmp_path / "ca.pem")
        os.mkfifo(tmp_path / "fifo")
        assert "fifo" in load(tmp_path).warnings[0]

    def test_hash_links_are_not_read_twice(
        self, private_ca: Authority, tmp_path: Path, load: Load
    ) -> None:
        private_ca.write_pem(tmp_path / "ca.pem")
        (tmp_path / f"{subject_hash(private_ca)}.0").symlink_to("ca.pem")
        assert len(load(tmp_path).sources[0].files) == 1

    def test_nothing_is_read_later(
        self, private_ca: Authority, stranger_ca: Authority, tmp_path: Path, trusting: Trusting
    ) -> None:
        private_ca.write_pem(tmp_path / "ca.pem")
        context = trusting(tmp_path)
        stranger_ca.write_pem(tmp_path / f"{subject_hash(stranger_ca)}.0")
        assert verify_code(context, stranger_ca.leaf("localhost")) in UNTRUSTED


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class TestPath:
    def test_tilde_is_the_home_of_the_given_environment(
        self, private_ca: Authority, tmp_path: Path, home: Path
    ) -> None:
        private_ca.write_pem(tmp_path / "ca.pem")
        origin = Origin(OriginKind.ENVIRONMENT, "PIP_CERT")
        decision = trust.decide(trust.TrustSettings(cert=Sourced("~/ca.pem", origin)))
        environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
        assert tmp_path != home
        context = trust.context_for(decision, environ)
        assert verify_code(context, private_ca.leaf("localhost")) == ACCEPTED
        assert decision.sources[0].path == "~/ca.pem"

    def test_relative_to_the_working_folder(
        self,
        private_ca: Authority,
        tmp_path: Path,
        trusting: Trusting,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        private_ca.write_pem(tmp_path / "ca.pem")
        monkeypatch.chdir(tmp_path)
        assert trusting("ca.pem").cert_store_stats()["x509"] == 1

    def test_a_link(self, private_ca: Authority, tmp_path: Path, trusting: Trusting) -> None:
        private_ca.write_pem(tmp_path / "ca.pem")
        (tmp_path / "link").symlink_to("ca.pem")
        assert trusting(tmp_path / "link").cert_store_stats()["x509"] == 1


def test_the_same_anchor_from_two_bundles_counts_once(
    private_ca: Authority, tmp_path: Path, trusting: Trusting
) -> None:
    one = private_ca.write_pem(tmp_path / "one.pem")
    two = tmp_path / "two.der"
    two.write_bytes(private_ca.der)
    context = trusting(one, two, one)
    assert context.cert_store_stats()["x509"] == 1
    assert verify_code(context, private_ca.leaf("localhost")) == ACCEPTED
