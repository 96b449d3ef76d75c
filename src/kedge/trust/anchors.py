"""Loads what a decision names: reads every source, has OpenSSL judge it, and keeps the result.

A source that cannot be used ends here, before the network is touched. The decision itself was made
before (:mod:`kedge.trust.decide`); what the anchors are used for comes after
(:mod:`kedge.trust.context`).

OpenSSL keeps the first of several copies of a certificate, with the trust settings of that copy.
Blocks of a bundle that withhold trust from servers are therefore handed to it first: what one
source rejects, no other gives back.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence

from kedge.classes import field, frozen, mutable, replace
from kedge.model import StoreKind, TrustDecision, TrustSource
from kedge.trust import openssl, trusted
from kedge.trust.bundle import CertificateFile, Reading, damage, read_bundle, read_file
from kedge.trust.files import platform_verifies
from kedge.trust.pem import Block


@frozen
class LoadedSource:
    """One source and the files that it came from.

    ``by_platform``: the operating system verifies, and its anchors are not files.
    """

    source: TrustSource
    files: tuple[CertificateFile, ...] = ()
    by_platform: bool = False

    @property
    def blocks(self) -> Iterator[Block]:
        """Every certificate of the source, those that withhold trust included."""
        for file in self.files:
            yield from file.blocks


@frozen
class Anchors:
    """The trust anchors in force: checked, in memory, and nothing else is trusted.

    ``warnings`` are sentences about what was passed over or accepted with a reservation.
    """

    decision: TrustDecision
    sources: tuple[LoadedSource, ...]
    warnings: tuple[str, ...] = ()
    # The context in which OpenSSL judged the anchors: loading is the expensive part, so the
    # first context that is made takes it over (list.pop() hands it to one thread only).
    _judged: list[ssl.SSLContext] = field(
        default_factory=list, repr=False, compare=False, hash=False
    )

    @property
    def by_platform(self) -> bool:
        """Whether the operating system's own verification is part of it."""
        return any(loaded.by_platform for loaded in self.sources)

    def store(self) -> ssl.SSLContext:
        """A context of its own for the caller, with the anchors in it and nothing decided."""
        try:
            return self._judged.pop()
        except IndexError:
            return _fill(self.sources)


def load(
    decision: TrustDecision, *, environ: Mapping[str, str], platform: str = sys.platform
) -> Anchors:
    """Read and check every source of the decision.

    ``environ`` is the process environment as it was at the start: ``SSL_CERT_FILE``,
    ``SSL_CERT_DIR`` and the home folder are looked up in it. Raises
    :class:`~kedge.errors.BundleError` and :class:`~kedge.errors.EmptySystemStoreError`. The
    network is not touched.
    """
    sources: list[LoadedSource] = []
    platform_part = platform_verifies(platform) and any(
        source.kind is StoreKind.SYSTEM for source in decision.sources
    )
    judge = _Judge([], platform_part)
    for source in decision.sources:
        by_platform = platform_part and source.kind is StoreKind.SYSTEM
        reading = Reading(()) if by_platform else _read(source, environ)
        sources.append(LoadedSource(source, reading.files, by_platform))
        judge.warnings += reading.warnings
    for loaded in sources:
        judge.take_withheld(loaded)
    judged = tuple(judge.take(loaded) for loaded in sources)
    if platform_part and decision.strict.value:
        judge.warnings.append(
            f"The platform verifies here, by its own rules: {decision.strict.origin} has no effect"
        )
    # Where a file was passed over, some of its blocks may be in the judge's own store.
    kept = [judge.store] if list(judged) == sources else []
    return Anchors(decision, judged, tuple(judge.warnings), kept)


def _read(source: TrustSource, environ: Mapping[str, str]) -> Reading:
    # What the other rows of the table need is not imported: a start-up pays for one.
    match source.kind:
        case StoreKind.CERTIFI:
            import certifi

            return read_file(source, certifi.where())
        case StoreKind.SYSTEM:
            from kedge.trust.system import read_system

            return read_system(source, environ)
        case StoreKind.BUNDLE:
            return read_bundle(source, environ)


def _fill(sources: Sequence[LoadedSource]) -> ssl.SSLContext:
    """A store with the anchors of sources that were judged before."""
    store = openssl.new_store()
    for loaded in sources:
        openssl.take(store, list(_withheld(loaded)))
    for loaded in sources:
        openssl.take(store, list(loaded.blocks))
    return store


def _withheld(loaded: LoadedSource) -> Iterator[Block]:
    """What goes first. Within the system's store OpenSSL's own order holds, as it does for every
    other program."""
    if loaded.source.kind is not StoreKind.SYSTEM:
        yield from filter(trusted.withholds, loaded.blocks)


@mutable
class _Judge:
    """Hands sources to OpenSSL, one store for all, and finds what it refuses or overlooks.

    Loading is the dear part: all blocks of a source go in at once, and are counted. Only where
    the count is not what it must be is each block judged alone.
    """

    warnings: list[str]
    by_platform: bool  # truststore hands it the bundles' CA certificates, and nothing else
    store: ssl.SSLContext = field(default_factory=openssl.new_store)
    _seen: set[bytes] = field(default_factory=set)

    def take_withheld(self, loaded: LoadedSource) -> None:
        """A block that OpenSSL refuses is left for :meth:`take`, which says where it stands."""
        for block in _withheld(loaded):
            if openssl.judge(block):
                openssl.take(self.store, [block])
                self._seen |= {block.der(), trusted.certificate_der(block)}

    def take(self, loaded: LoadedSource) -> LoadedSource:
        """The source without the files that were passed over.

        In the system's store a damaged file is passed over; in a bundle damage is refused.
        """
        files = []
        sound = self._take_all(loaded)
        for file in loaded.files:
            damaged = (None if sound else _damaged_block(file)) or _unsound_other(file)
            if damaged is None:
                files.append(file)
            elif loaded.source.kind is StoreKind.SYSTEM:
                self.warnings.append(f"{file.path} was passed over: {damaged.place} is damaged")
            else:
                raise damage(loaded.source, file.path, damaged)
        kept = replace(loaded, files=tuple(files))
        if loaded.files and all(trusted.withholds(block) for block in kept.blocks):
            self._tell_nothing_left(loaded)
        return kept

    def _take_all(self, loaded: LoadedSource) -> bool:
        """Whether OpenSSL took every block, as far as counting can tell."""
        before = openssl.count(self.store)
        try:
            encoded = {block.der(): block for block in loaded.blocks}
            blocks = [block for data, block in encoded.items() if data not in self._seen]
            openssl.take(self.store, blocks)
            fresh = {trusted.certificate_der(block) for block in blocks} - self._seen
        except (ssl.SSLError, ValueError):
            return False
        self._seen |= encoded.keys() | fresh
        after = openssl.count(self.store)
        taken = after.certificates - before.certificates
        if taken != after.authorities - before.authorities:
            self._tell_leaves(loaded)
        return taken == len(fresh)

    def _tell_leaves(self, loaded: LoadedSource) -> None:
        files = loaded.files if loaded.source.kind is StoreKind.BUNDLE else ()
        effect = "it vouches for itself alone"
        if self.by_platform:
            effect = "the platform verifies here, and cannot be given such a one"
        for file in files:
            for block in file.blocks:
                verdict = openssl.judge(block)
                if verdict and not verdict.authorities and not trusted.withholds(block):
                    self.warnings.append(
                        f"{file.path}, {block.place}, is a server's own certificate and not a "
                        f"CA's: {effect}"
                    )

    def _tell_nothing_left(self, loaded: LoadedSource) -> None:
        paths = tuple(file.path for file in loaded.files)
        if loaded.source.kind is StoreKind.SYSTEM:
            from kedge.trust.system import empty

            raise empty(loaded.source, paths)
        self.warnings.append(
            f"No certificate of {', '.join(paths)} may vouch for a server: "
            "their own trust settings say so"
        )


def _damaged_block(file: CertificateFile) -> Block | None:
    """The file's first block that OpenSSL refuses when it is alone."""
    return next((block for block in file.blocks if openssl.judge(block) is None), None)


def _unsound_other(file: CertificateFile) -> Block | None:
    """A damaged block that is no certificate; OpenSSL refuses a file for such a one, too."""
    for block in file.others:
        if not openssl.is_sound_beside(block, file.blocks[0]):
            return replace(block, flaw=f"OpenSSL cannot read this {block.label}")
    return None
