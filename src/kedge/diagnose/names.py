"""Names that tell: hosts whose public chain is beyond doubt, makers of interceptors, host names.

Constants and comparisons; nothing is looked up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from kedge.model import PYPI_HOSTS

#: Hosts that only a root of Mozilla's set vouches for: an unknown issuer there is an interceptor.
PUBLIC_HOSTS = frozenset(
    {
        *PYPI_HOSTS,
        "github.com",
        "codeload.github.com",
        "raw.githubusercontent.com",
        "objects.githubusercontent.com",
        "release-assets.githubusercontent.com",
        "gitlab.com",
        "bitbucket.org",
        "codeberg.org",
    }
)

#: What stands in the issuer of an interceptor's certificate, in lower case, and who makes it.
_PRODUCTS = (
    ("zscaler", "Zscaler"),
    ("netskope", "Netskope"),
    ("goskope", "Netskope"),
    ("cisco umbrella", "Cisco Umbrella"),
    ("opendns", "Cisco Umbrella"),
    ("cisco secure access", "Cisco Secure Access"),
    ("fortinet", "Fortinet"),
    ("fortigate", "Fortinet"),
    ("palo alto", "Palo Alto Networks"),
    ("globalprotect", "Palo Alto Networks"),
    ("prisma access", "Palo Alto Networks"),
    ("blue coat", "Blue Coat (Symantec)"),
    ("bluecoat", "Blue Coat (Symantec)"),
    ("proxysg", "Blue Coat (Symantec)"),
    ("forcepoint", "Forcepoint"),
    ("websense", "Forcepoint"),
    ("sophos", "Sophos"),
    ("check point", "Check Point"),
    ("checkpoint", "Check Point"),
    ("mcafee", "McAfee (Skyhigh)"),
    ("skyhigh", "Skyhigh Security"),
    ("barracuda", "Barracuda"),
    ("watchguard", "WatchGuard"),
    ("sonicwall", "SonicWall"),
    ("gateway ca - cloudflare", "Cloudflare Gateway"),
    ("cloudflare for teams", "Cloudflare Gateway"),
    ("iboss", "iboss"),
    ("menlo security", "Menlo Security"),
    ("smoothwall", "Smoothwall"),
    ("contentkeeper", "ContentKeeper"),
    ("securly", "Securly"),
    ("lightspeed", "Lightspeed Systems"),
    ("kaspersky", "Kaspersky"),
    ("eset ssl filter", "ESET"),
    ("bitdefender", "Bitdefender"),
    ("avast", "Avast"),
    ("avg web", "AVG"),
    ("norton web", "Norton"),
    ("trend micro", "Trend Micro"),
    ("mitmproxy", "mitmproxy"),
    ("portswigger", "Burp Suite"),
    ("fiddler", "Fiddler"),
    ("charles proxy", "Charles"),
    ("squid", "Squid"),
    ("untangle", "Untangle"),
)


def is_public(host: str) -> bool:
    """Whether that host's chain is beyond doubt a public one. ``host`` is canonical."""
    return host in PUBLIC_HOSTS


def unrelated(one: str, other: str) -> bool:
    """Whether two names cannot well be one organisation's own; when in doubt they can."""
    if not (_may_be_public(one) and _may_be_public(other)):
        return False
    return one.split(".")[-2:] != other.split(".")[-2:]


_PRIVATE_TLDS = frozenset(
    {"local", "localhost", "internal", "intranet", "lan", "corp", "home", "arpa", "test", "private"}
)


def _may_be_public(host: str) -> bool:
    labels = host.split(".")
    last = labels[-1]
    return len(labels) > 1 and last not in _PRIVATE_TLDS and not last.isdecimal()


def product_of(*issuers: str) -> str:
    """The interceptor whose name is in one of these issuers; empty for an unknown one."""
    words = " | ".join(issuers).lower()
    return next((product for mark, product in _PRODUCTS if mark in words), "")


def matches(host: str, names: Iterable[str]) -> bool:
    """Whether a certificate for ``names`` is for ``host`` (RFC 9525, section 6.3).

    ``*`` stands for the whole first label, and for nothing else.

    >>> matches("files.example.org", ["*.example.org"]), matches("example.org", ["*.example.org"])
    (True, False)
    """
    address = _address(host)
    for name in names:
        if address is not None:
            if _address(name) == address:
                return True
            continue
        lowered = name.lower().rstrip(".")
        first, _, rest = host.partition(".")
        if lowered == host or (first and rest and lowered == f"*.{rest}"):
            return True
    return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
