"""OpenSSL's verify codes (``X509_V_ERR_*`` of ``x509_vfy.h``), in the groups that mean one thing.

The numbers are those of OpenSSL 3; two that 1.1.1 used for something else are told apart by
version. They are stable: OpenSSL appends.
"""

from __future__ import annotations

import ssl

NOT_YET_VALID, EXPIRED = 9, 10

#: No anchor vouches: the issuer is not to be had (2, 20, 21), a self-signed certificate is not
#: among the anchors (18, 19), or the anchor's own settings withhold trust (27, 28).
NO_ANCHOR = frozenset({2, 18, 19, 20, 21, 27, 28})
NAME = frozenset({62, 64})
SIGNATURE = frozenset({4, 6, 7, 29, 30, 31})
#: Path length, missing or false CA flag, key usage.
BAD_CA = frozenset({25, 32, 37, 79}) | (
    frozenset({24}) if ssl.OPENSSL_VERSION_INFO < (3,) else frozenset()
)
CONSTRAINTS = frozenset({47, 48, 49, 51, 52, 53})
EXTENSION = frozenset({34, 41, 42, 45})
PURPOSE = frozenset({26})
WEAK_KEY = frozenset({66, 67})
WEAK_SIGNATURE = frozenset({68, 76})
#: What ``VERIFY_X509_STRICT`` alone looks at.
STRICT = frozenset(range(77, 95)) - {79}
