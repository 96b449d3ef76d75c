"""How a context verifies: one profile, the same on every Python.

The chain and the name are checked, the common name is never looked at (RFC 9525, 6.3), TLS 1.2 is
the least, an intermediate or a server's own certificate among the anchors ends the chain
(``VERIFY_X509_PARTIAL_CHAIN``), and ``VERIFY_X509_STRICT`` is off unless it is asked for: company
CAs without a key usage break under it (python/cpython#133564). ``ssl.create_default_context`` is
not used: it reads the default locations, and its flags changed in Python 3.13.
"""

from __future__ import annotations

import ssl

_ALPN = ("http/1.1",)


def apply_profile(context: ssl.SSLContext, *, strict: bool) -> None:
    """Make the context verify."""
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.hostname_checks_common_name = False
    context.verify_flags = verify_flags(strict=strict)
    apply_protocol(context)


def apply_protocol(context: ssl.SSLContext) -> None:
    """The protocol's versions and what is spoken over it, whether it verifies or not."""
    # Set even where it is Python's default: a machine's openssl.cnf may say otherwise.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    context.set_alpn_protocols(list(_ALPN))


def verify_flags(*, strict: bool = False) -> ssl.VerifyFlags:
    """The profile's flags: all that are set, not what is added to a Python's own defaults."""
    flags = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return flags | ssl.VerifyFlags.VERIFY_X509_STRICT if strict else flags
