"""How certificates hang together: which of them really signed which.

Nothing here knows what is trusted, and nothing is judged: that a certificate has expired is for
whoever knows the time. A certificate that cannot be read keeps its fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kedge.classes import frozen, replace
from kedge.diagnose import plain
from kedge.diagnose.facts import CertificateFacts


@frozen
class Chain:
    """The certificates of one peer, as presented, and how they hang together.

    ``path`` are the positions from the leaf upward, each signed by the next. ``impostors`` are
    positions of certificates that have the name of the path's missing issuer and another key.
    """

    certificates: tuple[CertificateFacts, ...] = ()
    path: tuple[int, ...] = ()
    impostors: tuple[int, ...] = ()

    @property
    def leaf(self) -> CertificateFacts | None:
        return self.certificates[0] if self.certificates else None

    @property
    def links(self) -> tuple[CertificateFacts, ...]:
        """The certificates of the path, leaf first."""
        return tuple(self.certificates[at] for at in self.path)

    @property
    def top(self) -> CertificateFacts | None:
        """Where the path ends."""
        return self.certificates[self.path[-1]] if self.path else None

    @property
    def root(self) -> CertificateFacts | None:
        """The self-signed certificate at its end, where it was presented."""
        top = self.top
        return top if top is not None and top.self_signed else None

    @property
    def missing_issuer(self) -> str | None:
        """The issuer (RFC 4514) that the path ends without; ``None`` where it ends in a root."""
        top = self.top
        return None if top is None or top.self_signed else top.issuer

    @property
    def in_order(self) -> bool:
        """Whether each certificate certifies the one before it, as TLS 1.2 asks (RFC 5246)."""
        return self.path == tuple(range(len(self.certificates)))

    @property
    def unused(self) -> tuple[CertificateFacts, ...]:
        """What was presented and is no part of the path."""
        return tuple(each for at, each in enumerate(self.certificates) if at not in set(self.path))


def read_chain(presented: Sequence[bytes]) -> Chain:
    """The facts about a chain of DER certificates, leaf first."""
    certificates = tuple(read_certificate(der) for der in presented)
    if not certificates:
        return Chain()
    path = [0]
    while not certificates[path[-1]].self_signed:
        lower = certificates[path[-1]]
        rest = (at for at in range(len(certificates)) if at not in path)
        above = next((at for at in rest if signed_by(lower, certificates[at])), None)
        if above is None:
            break
        path.append(above)
    top = certificates[path[-1]]
    named = tuple(
        at
        for at, each in enumerate(certificates)
        if at not in path and each.subject and each.subject == top.issuer
    )
    return Chain(certificates, tuple(path), () if top.self_signed else named)


def related(anchors: Iterable[bytes], chain: Chain) -> tuple[tuple[CertificateFacts, ...], bool]:
    """Those anchors (DER) that bear the name of an issuer in the chain, and whether any is of the
    organisation that issued the leaf."""
    wanted = {each.issuer for each in chain.certificates if each.issuer}
    organization = chain.leaf.issuer_organization if chain.leaf else ""
    found = []
    kin = False
    needles = _needles(chain, organization)
    for der in anchors if wanted else ():
        # A look at the bytes: reading all of a store takes 30 ms.
        if needles is not None and not any(needle in der for needle in needles):
            continue
        facts = _outline(der)
        if facts.subject in wanted:
            found.append(_completed(facts))
        kin = kin or (bool(organization) and facts.organization == organization)
    return tuple(found), kin


#: How an attribute's text may stand in a name (RFC 5280, section 4.1.2.4).
_ENCODINGS = ("utf-8", "latin-1", "utf-16-be", "utf-32-be")


def _needles(chain: Chain, organization: str) -> set[bytes] | None:
    """What must stand in a certificate that bears an issuer's name or is of the organisation;
    ``None`` where a name has no attribute to look for."""
    issued = [each for each in chain.certificates if each.issuer]
    texts = {each.issuer_label for each in issued} | ({organization} - {""})
    whole = {each.issuer for each in issued}
    if texts & whole or any("\N{REPLACEMENT CHARACTER}" in text for text in texts):
        return None
    return {text.encode(encoding, "replace") for text in texts for encoding in _ENCODINGS}


def signed_by(lower: CertificateFacts, upper: CertificateFacts) -> bool:
    """Whether ``upper`` bears the issuer's name and its key made the signature."""
    if not lower.issuer or lower.issuer != upper.subject:
        return False
    from kedge.diagnose import certificates

    return certificates.signed_by(lower.der, upper.der)


def read_certificate(der: bytes) -> CertificateFacts:
    """The facts about one certificate; its fingerprint alone where it cannot be read."""
    return _completed(_outline(der))


def _completed(facts: CertificateFacts) -> CertificateFacts:
    return replace(facts, self_signed=facts.self_issued and signed_by(facts, facts))


def _outline(der: bytes) -> CertificateFacts:
    """The facts, but whether it signed itself."""
    facts = plain.read(der)
    if facts is None:
        from kedge.diagnose import certificates

        facts = certificates.read(der)
    return facts
