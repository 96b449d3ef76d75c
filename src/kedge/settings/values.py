"""``Settings``: what was decided, as a value. It holds and combines; it decides no precedence.

What only several options together say is answered here (is truststore on? which indexes? is there
a cache?), so that no caller puts it together a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from kedge.classes import field, frozen, replace
from kedge.model import Origin, OriginKind, Sourced
from kedge.settings import options as table
from kedge.settings.files import cache_folder
from kedge.settings.option import Kind, Option
from kedge.settings.snapshot import Snapshot

if TYPE_CHECKING:
    from kedge.trust.decide import TrustSettings

T = TypeVar("T")
U = TypeVar("U")


class Considered(NamedTuple):
    """One setting of an option as it was written, and whether it counts."""

    setting: Sourced[str]
    in_force: bool


@frozen(kw_only=True)
class Settings:
    """Every option's value with its origin, for one command line.

    ``settings[CERT]`` is a ``Sourced``; ``settings.value(CERT)`` its value alone. ``warnings`` are
    sentences for the user. ``truststore`` is whether the system's store was asked for or declined,
    and where; None when nothing says so.
    """

    command: str | None
    action: str | None
    arguments: tuple[str, ...]
    snapshot: Snapshot
    isolated: bool = False
    truststore: Sourced[bool] | None = None
    warnings: tuple[str, ...] = ()
    parts: Mapping[Option[Any], tuple[Sourced[Any], ...]] = field(default_factory=dict)
    ordered: tuple[tuple[Option[Any], Sourced[Any]], ...] = ()
    seen: Mapping[Option[Any], tuple[Considered, ...]] = field(default_factory=dict)

    def __getitem__(self, option: Option[T]) -> Sourced[T]:
        """The value in force; of an option with several parts, the strongest part's origin.

        ``KeyError`` for an option that the command does not take: a mistake of the caller's.
        """
        parts = self.parts[option]
        if not parts:
            return Sourced(option.default)
        value: Any
        if option.kind is Kind.COUNT:
            value = sum(part.value for part in parts)
        elif option.kind in (Kind.LIST, Kind.CUMULATIVE):
            value = tuple(part.value for part in parts)
        else:
            value = parts[-1].value
        return Sourced(cast("T", value), parts[-1].origin)

    def value(self, option: Option[T]) -> T:
        """The value in force, without its origin."""
        return self[option].value

    def each(self, option: Option[tuple[U, ...]]) -> tuple[Sourced[U], ...]:
        """The values of a repeatable option, weakest first, each with its own origin."""
        return self.parts[option]

    def in_order(self, *options: Option[Any]) -> tuple[tuple[Option[Any], Sourced[Any]], ...]:
        """The settings of several cumulative options, weakest first, as they follow each other.

        ``--only-binary :all: --no-binary spam`` is not the same the other way round.
        """
        return tuple((option, part) for option, part in self.ordered if option in options)

    def is_set(self, option: Option[Any]) -> bool:
        """Whether anything but the default gives the value."""
        return bool(self.parts.get(option))

    def considered(self, option: Option[Any]) -> tuple[Considered, ...]:
        """Every setting of the option, strongest first, those that lost included."""
        return self.seen.get(option, ())

    def with_warnings(self, more: tuple[str, ...]) -> Settings:
        return replace(self, warnings=(*self.warnings, *more))

    # ---- what several options say together

    @property
    def verbosity(self) -> int:
        """How much to say: 0 is usual, less for ``-q``, more for ``-v``."""
        return self.value(table.VERBOSE) - self.value(table.QUIET)

    def trust_settings(self) -> TrustSettings:
        """What the trust decision looks at, the two variables of others included."""
        from kedge.trust.decide import TrustSettings

        cert = self[table.CERT]
        expand = self.snapshot.platform.expand
        weaker = [one.setting for one in self.considered(table.CERT) if not one.in_force]
        return TrustSettings(
            truststore=self.truststore,
            cert=None if cert.value is None else Sourced(cert.value, cert.origin),
            requests_ca_bundle=self._variable("REQUESTS_CA_BUNDLE"),
            curl_ca_bundle=self._variable("CURL_CA_BUNDLE"),
            extra_certs=self.each(table.EXTRA_CERT),
            strict=self[table.STRICT_CERTS],
            weaker_certs=tuple(
                Sourced(expand(one.value), one.origin) for one in weaker if one.value.strip()
            ),
        )

    def index_urls(self) -> tuple[Sourced[str], ...]:
        """The indexes to ask, the first one first; none with ``--no-index``."""
        if self.value(table.NO_INDEX):
            return ()
        return (self[table.INDEX_URL], *self.each(table.EXTRA_INDEX_URL))

    def cache_directory(self) -> Sourced[str] | None:
        """The cache's folder, set or usual; None when the cache is switched off."""
        if self.value(table.NO_CACHE_DIR):
            return None
        chosen = self[table.CACHE_DIR]
        if chosen.value is not None:
            return Sourced(chosen.value, chosen.origin)
        return Sourced(cache_folder(self.snapshot.platform, self.snapshot.environ))

    def _variable(self, name: str) -> Sourced[str] | None:
        value = self.snapshot.environ.get(name, "")
        if not value.strip():
            return None
        return Sourced(value, Origin(OriginKind.ENVIRONMENT, name))
