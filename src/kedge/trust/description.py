"""Describes anchors for people: subject, validity, SHA-256 fingerprint, and where they were read.

Nothing is judged here. ``cryptography`` reads the certificates, and is imported only when they
are described; one that it cannot read, though OpenSSL accepted it, is still counted and has its
fingerprint.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from datetime import datetime

from kedge.classes import frozen
from kedge.model import StoreKind, TrustSource, printable
from kedge.trust import openssl, trusted
from kedge.trust.anchors import Anchors, LoadedSource
from kedge.trust.bundle import CertificateFile
from kedge.trust.certifi_store import Provenance, provenance
from kedge.trust.pem import Block
from kedge.trust.platform_store import platform_anchors


@frozen
class DescribedCertificate:
    """One certificate. Moments are in UTC; ``sha256`` is lower-case hex without colons.

    ``subject``, ``issuer`` and the moments are ``None`` where they cannot be read. ``vouches``
    is false for a certificate whose trust settings withhold trust from servers.
    """

    sha256: str
    subject: str | None
    issuer: str | None
    not_before: datetime | None
    not_after: datetime | None
    is_ca: bool
    vouches: bool
    file: str
    block: int
    line: int | None

    def is_valid(self, moment: datetime) -> bool:
        """Whether ``moment`` (with a time zone) lies within the validity; unknown counts as yes."""
        return (self.not_before is None or self.not_before <= moment) and (
            self.not_after is None or moment <= self.not_after
        )


@frozen
class DescribedSource:
    """One source with its distinct certificates, in the order in which they were read.

    ``by_platform``: the list is what the platform tells of its roots; it may trust others, too.
    ``altered`` says of certifi's store what it is, where it is not the one that was published.
    """

    source: TrustSource
    certificates: tuple[DescribedCertificate, ...]
    files: tuple[str, ...]
    by_platform: bool = False
    altered: str | None = None

    @property
    def count(self) -> int:
        """How many certificates may vouch for a server."""
        return sum(certificate.vouches for certificate in self.certificates)

    @property
    def first_expiry(self) -> datetime | None:
        """The earliest end of validity among those that vouch."""
        ends = [each.not_after for each in self.certificates if each.vouches and each.not_after]
        return min(ends, default=None)


def describe(anchors: Anchors, *, platform: str = sys.platform) -> tuple[DescribedSource, ...]:
    """Every source of the anchors, described."""
    return tuple(_describe_source(loaded, platform) for loaded in anchors.sources)


def _describe_source(loaded: LoadedSource, platform: str) -> DescribedSource:
    files = loaded.files
    if loaded.by_platform:
        files = (CertificateFile(str(loaded.source), platform_anchors(platform)),)
    found: dict[str, DescribedCertificate] = {}
    for file in files:
        for block in file.blocks:
            described = describe_block(block, file.path)
            known = found.get(described.sha256)
            # What one copy withholds, no other gives back (see kedge.trust.anchors).
            if known is None or (known.vouches and not described.vouches):
                found[described.sha256] = described
    paths = () if loaded.by_platform else tuple(file.path for file in files)
    return DescribedSource(
        loaded.source, tuple(found.values()), paths, loaded.by_platform, _altered(loaded)
    )


def _altered(loaded: LoadedSource) -> str | None:
    if loaded.source.kind is not StoreKind.CERTIFI:
        return None
    found = {provenance(file.path) for file in loaded.files} - {Provenance.ORIGINAL}
    return next((each.value for each in found), None)


def describe_block(block: Block, file: str) -> DescribedCertificate:
    """One block that OpenSSL accepted."""
    der = trusted.certificate_der(block)
    read = _read(der)
    verdict = openssl.judge(block)
    return DescribedCertificate(
        sha256=hashlib.sha256(der).hexdigest(),
        subject=read.subject,
        issuer=read.issuer,
        not_before=read.not_before,
        not_after=read.not_after,
        is_ca=bool(verdict and verdict.authorities),
        vouches=not trusted.withholds(block),
        file=file,
        block=block.number,
        line=block.line or None,
    )


@frozen
class _Readable:
    subject: str | None = None
    issuer: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None


def _read(der: bytes) -> _Readable:
    from cryptography import x509

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old roots have serial numbers that it deprecates
        try:
            certificate = x509.load_der_x509_certificate(der)
            return _Readable(
                printable(certificate.subject.rfc4514_string()),
                printable(certificate.issuer.rfc4514_string()),
                certificate.not_valid_before_utc,
                certificate.not_valid_after_utc,
            )
        except (ValueError, KeyError, x509.InvalidVersion):  # KeyError: cryptography before 44
            return _Readable()
