"""OpenSSL's verify codes (``X509_V_ERR_*`` of ``x509_vfy.h``), in the groups that mean one thing.

The numbers are those of OpenSSL 3; one that 1.1.1 used for something else is told apart by
version. They are stable: OpenSSL appends.
"""

from __future__ import annotations

import ssl

NOT_YET_VALID, EXPIRED, PATH_LENGTH = 9, 10, 25

#: No anchor vouches: the issuer is not to be had (2, 20, 21), a self-signed certificate is not
#: among the anchors (18, 19), or the anchor's own settings withhold trust (27, 28).
NO_ANCHOR = frozenset({2, 18, 19, 20, 21, 27, 28})
NAME = frozenset({62, 64})
SIGNATURE = frozenset({4, 6, 7, 29, 30, 31})
#: Path length, missing or false CA flag, key usage.
BAD_CA = frozenset({PATH_LENGTH, 32, 37, 79}) | (
    frozenset({24}) if ssl.OPENSSL_VERSION_INFO < (3,) else frozenset()
)
CONSTRAINTS = frozenset({47, 48, 49, 51, 52, 53})
EXTENSION = frozenset({34, 41, 42, 45})
PURPOSE = frozenset({26})
WEAK_KEY = frozenset({66, 67})
WEAK_SIGNATURE = frozenset({68, 76})


#: What truststore reports where the platform verifies: ``SecBase.h`` on macOS, ``winerror.h`` on
#: Windows, and OpenSSL's code for the same.
_PLATFORM = {
    -25318: 20,  # errSecCreateChainFailed
    -67602: 62,  # errSecHostNameMismatch
    -67818: EXPIRED,  # errSecCertificateExpired
    -67819: NOT_YET_VALID,  # errSecCertificateNotValidYet
    -67843: 20,  # errSecNotTrusted
    0x800B0101: EXPIRED,  # CERT_E_EXPIRED: before or after its time; the chain tells which
    0x800B0109: 19,  # CERT_E_UNTRUSTEDROOT
    0x800B010A: 20,  # CERT_E_CHAINING
    0x800B010F: 62,  # CERT_E_CN_NO_MATCH
    0x800B0110: 26,  # CERT_E_WRONG_USAGE
}


def as_openssl(code: int | None) -> int | None:
    """A code as OpenSSL would give it; a platform's code that has no such meaning stays."""
    if code is None:
        return None
    return _PLATFORM.get(code, _PLATFORM.get(code & 0xFFFFFFFF, code))
