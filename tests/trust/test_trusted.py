"""``TRUSTED CERTIFICATE``: its trust and reject uses, as OpenSSL obeys them at a handshake."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.x509.oid import ObjectIdentifier

from kedge import trust
from kedge.trust import pem, trusted
from support.handshakes import ACCEPTED, CERTIFICATE_REJECTED, UNTRUSTED, verify_code
from support.pki import (
    CLIENT_AUTH,
    CODE_SIGNING,
    EMAIL_PROTECTION,
    SERVER_AUTH,
    Authority,
    authority,
    pem_block,
    trusted_block,
)

ANY = ObjectIdentifier("2.5.29.37.0")
Trusting = Callable[..., ssl.SSLContext]
Load = Callable[..., trust.Anchors]
Uses = list[ObjectIdentifier]

USES: dict[str, tuple[Uses, Uses, bool]] = {
    "none": ([], [], True),
    "trust server": ([SERVER_AUTH], [], True),
    "trust any": ([ANY], [], True),
    "trust server and mail": ([EMAIL_PROTECTION, SERVER_AUTH], [], True),
    "trust mail": ([EMAIL_PROTECTION], [], False),
    "trust client": ([CLIENT_AUTH], [], False),
    "reject server": ([], [SERVER_AUTH], False),
    "reject any": ([], [ANY], False),
    "reject mail": ([], [EMAIL_PROTECTION], True),
    "reject mail and server": ([], [EMAIL_PROTECTION, SERVER_AUTH], False),
    "trust and reject server": ([SERVER_AUTH], [SERVER_AUTH], False),
    "trust server, reject mail": ([SERVER_AUTH], [EMAIL_PROTECTION], True),
    "trust mail, reject code": ([EMAIL_PROTECTION], [CODE_SIGNING], False),
    "trust any, reject server": ([ANY], [SERVER_AUTH], False),
}


@pytest.fixture(scope="module")
def root() -> Authority:
    return authority("Root with Uses")


@pytest.mark.parametrize(("trust_uses", "reject_uses", "vouches"), USES.values(), ids=list(USES))
def test_uses(
    trust_uses: Uses,
    reject_uses: Uses,
    vouches: bool,
    root: Authority,
    tmp_path: Path,
    trusting: Trusting,
) -> None:
    text = trusted_block(root, trust=trust_uses, reject=reject_uses)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(text)
    expected = {ACCEPTED} if vouches else {CERTIFICATE_REJECTED, *UNTRUSTED}
    assert verify_code(trusting(bundle), root.leaf("localhost")) in expected
    # What kedge reads for itself says the same as OpenSSL does.
    (block,) = pem.split(text.decode())
    assert trusted.withholds(block) is not vouches


@pytest.mark.parametrize(
    "auxiliary",
    [b"\x30\x00", b"\x30\x02\x30\x00", b"\x30\x02\xa0\x00", b"\x30\x04\x0c\x02hi"],
    ids=["empty", "empty trust", "empty reject", "only an alias"],
)
def test_odd_settings_are_read_as_openssl_reads_them(
    auxiliary: bytes, root: Authority, tmp_path: Path, trusting: Trusting
) -> None:
    text = pem_block("TRUSTED CERTIFICATE", root.der + auxiliary)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(text)
    accepted = verify_code(trusting(bundle), root.leaf("localhost")) == ACCEPTED
    (block,) = pem.split(text.decode())
    assert trusted.withholds(block) is not accepted


@pytest.mark.parametrize("order", ["reject first", "reject last"])
@pytest.mark.parametrize("files", ["one file", "two bundles", "folder"])
def test_what_one_block_rejects_no_other_gives_back(
    order: str, files: str, root: Authority, tmp_path: Path, load: Load
) -> None:
    parts = [trusted_block(root, reject=[SERVER_AUTH]), root.pem]
    if order == "reject last":
        parts.reverse()
    (tmp_path / "folder").mkdir()
    paths = [tmp_path / "folder" / "a.pem", tmp_path / "folder" / "b.pem"]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    (tmp_path / "one.pem").write_bytes(b"".join(parts))
    chosen = {"one file": [tmp_path / "one.pem"], "two bundles": paths, "folder": paths}[files]
    anchors = load(*([tmp_path / "folder"] if files == "folder" else chosen))
    for context in (trust.make_context(anchors), trust.make_context(anchors)):
        assert verify_code(context, root.leaf("localhost")) == CERTIFICATE_REJECTED


def test_a_rejected_intermediate_under_a_trusted_root(
    root: Authority, tmp_path: Path, load: Load
) -> None:
    issuing = root.intermediate("Issuing CA gone bad")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(root.pem + trusted_block(issuing, reject=[SERVER_AUTH]))
    anchors = load(bundle)
    for context in (trust.make_context(anchors), trust.make_context(anchors)):
        assert verify_code(context, issuing.leaf("localhost")) == CERTIFICATE_REJECTED
        assert verify_code(context, root.leaf("localhost")) == ACCEPTED


def test_a_bundle_that_only_rejects_is_told(root: Authority, tmp_path: Path, load: Load) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(trusted_block(root, reject=[SERVER_AUTH]))
    (warning,) = load(bundle).warnings
    assert str(bundle) in warning


def test_the_certificate_alone(root: Authority) -> None:
    (block,) = pem.split(trusted_block(root, reject=[SERVER_AUTH]).decode())
    assert trusted.certificate_der(block) == root.der
    assert block.der() != root.der
