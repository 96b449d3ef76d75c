"""One thing that was asked for, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from kedge.classes import field, frozen
from kedge.model import Hashes, Origin, redact_url

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName


class RequestedKind(Enum):
    """Where the distribution comes from."""

    INDEX = "an index"
    WHEEL = "a wheel"
    SOURCE = "a source archive"
    FOLDER = "a source folder"
    VCS = "a version control system"


@frozen(kw_only=True)
class Requested:
    """A requirement or a constraint, with the place it was written at.

    ``name`` is normalised and ``None`` only where a source tree or archive has yet to tell it.
    ``url`` is set for everything but :attr:`RequestedKind.INDEX`: absolute, as written, fragment
    included; ``file:`` for what is on this machine. It may carry credentials: redact it.
    ``specifier`` of a wheel by URL is ``==`` its version. ``extras`` are normalised.

    ``hashes`` are what the file may have, from ``--hash`` and from the URL's fragment together;
    ``hash_option`` tells that there was a ``--hash``, which is what turns hash-checking mode on.
    ``locked`` is what a lock file names: that vouches for what has no digest, too.
    ``text`` is what was written, without options, redacted.
    """

    kind: RequestedKind
    name: NormalizedName | None
    specifier: SpecifierSet
    extras: frozenset[str] = frozenset()
    marker: Marker | None = None
    url: str | None = None
    hashes: Hashes = field(default_factory=Hashes)
    hash_option: bool = False
    locked: bool = False
    editable: bool = False
    subdirectory: str | None = None
    config_settings: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, hash=False)
    origin: Origin
    text: str

    @property
    def needs_build(self) -> bool:
        """Whether it is anything but a wheel or a name for an index."""
        return self.editable or self.kind not in {RequestedKind.INDEX, RequestedKind.WHEEL}

    def applies(self, markers: Mapping[str, str]) -> bool:
        """Whether its marker holds in the PEP 508 environment ``markers`` (without ``extra``)."""
        return self.marker is None or self.marker.evaluate({**markers, "extra": ""})

    def __str__(self) -> str:
        return redact_url(self.text)
