"""The trust of one run in two stages: a few anchors first, all of them where those do not suffice.

Joins the parts: :mod:`~kedge.trust.hints` says which few, :func:`~kedge.trust.anchors.load` and
:func:`~kedge.trust.context.make_context` make the whole. The verdict on a server is the whole's in
every case: what the few refuse is verified again with all, once, and so is what they accept on
another way than all would have (:meth:`StagedTrust.suffices`). Connections are
:mod:`kedge.transport`'s; so the caller repeats the handshake.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kedge.model import TrustDecision
from kedge.trust import hints
from kedge.trust.profile import apply_profile

if TYPE_CHECKING:
    from kedge.trust.anchors import Anchors


class HintStore(Protocol):
    """What is kept between runs: :class:`kedge.cache.HintStore`."""

    def get(self, key: str) -> Mapping[str, Any] | None: ...
    def put(self, key: str, kept: Mapping[str, Any]) -> bool: ...


class StagedTrust:
    """The contexts of one decision. Safe for several threads.

    ``warn`` hears what :attr:`~kedge.trust.anchors.Anchors.warnings` says, once the whole is
    loaded. Raises, where a source cannot be used, what :func:`~kedge.trust.anchors.load` raises.
    """

    def __init__(
        self,
        decision: TrustDecision,
        *,
        environ: Mapping[str, str],
        store: HintStore,
        warn: Callable[[str], None],
    ) -> None:
        self._decision = decision
        self._environ = environ
        self._store = store
        self._warn = warn
        self._lock = threading.Lock()
        self._vouched: set[str] = set()
        self._anchors: Anchors | None = None
        self._whole: ssl.SSLContext | None = None
        self._sources = hints.look(decision, environ)
        self._selection: hints.Selection | None = None
        self._few = self._load_few()
        if self._few is None:
            self.whole()

    @property
    def context(self) -> ssl.SSLContext:
        """The context to begin a handshake with."""
        context = self._whole or self._few
        if context is None:
            raise AssertionError("made without a context")
        return context

    def owns(self, context: ssl.SSLContext | None) -> bool:
        """Whether that context is one of the two."""
        return context is not None and context in (self._few, self._whole)

    def is_whole(self, context: ssl.SSLContext) -> bool:
        """Whether that context's verdict is the last word."""
        return context is not self._few

    def whole(self) -> ssl.SSLContext:
        """The context with every anchor; loads them the first time."""
        with self._lock:
            if self._whole is None:
                from kedge.trust.anchors import load
                from kedge.trust.context import make_context

                self._anchors = load(self._decision, environ=self._environ)
                for warning in self._anchors.warnings:
                    self._warn(warning)
                self._whole = make_context(self._anchors)
            return self._whole

    def suffices(self, context: ssl.SSLContext, chain: Callable[[], Sequence[bytes]]) -> bool:
        """Whether the whole would have verified the same chain, and on the same way.

        ``chain`` gives the verified one, in DER, the server's certificate first. What vouched is
        noted, for the next run.
        """
        if context is self._few and self._selection is not None:
            return self._selection.covers(chain())
        if self._sources is None:
            return True  # there is nothing to be learnt
        try:
            names = hints.names_in(chain())
        except ValueError:
            return True
        with self._lock:
            self._vouched |= names
        return True

    def remember(self) -> None:
        """Keep which anchors vouched, if the few were not enough; no failure matters."""
        anchors, sources = self._anchors, self._sources
        if anchors is None or sources is None or not self._vouched:
            return
        held = self._selection.held if self._selection else frozenset()
        found = sources.hints(anchors, self._vouched | held)
        if found is not None:
            self._store.put(sources.key, found)

    def _load_few(self) -> ssl.SSLContext | None:
        """A context with the anchors of the last runs, if there are hints and all is well."""
        kept = self._store.get(self._sources.key) if self._sources else None
        selection = self._sources.select(kept) if self._sources and kept else None
        if selection is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=b"".join(selection.certificates))
        except ssl.SSLError:
            return None
        if context.cert_store_stats()["x509"] != len(selection.certificates):
            return None
        apply_profile(context, strict=self._decision.strict.value)
        self._selection = selection
        return context
