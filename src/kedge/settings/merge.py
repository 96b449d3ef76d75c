"""From the words and the snapshot to ``Settings``: which value is in force, and who set it.

Pure: it opens nothing and asks nobody. Strongest first: the command line, ``PIP_*``, the
command's section of the files, their ``[global]`` section (see :mod:`kedge.settings.layers`).
A setting that lost is not judged; one that is in force and wrong is a ``UsageError`` (exit 2)
from the command line, a ``SettingError`` (exit 3) from anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from kedge.errors import SettingError, UsageError
from kedge.model import Origin, OriginKind, Sourced, redact_url
from kedge.settings import options as table
from kedge.settings import readers
from kedge.settings.commands import CONFIG
from kedge.settings.features import LEGACY_CERTS, TRUSTSTORE
from kedge.settings.layers import Setting, configured
from kedge.settings.option import Kind, Option, Treatment
from kedge.settings.rules import check_combinations, passed_over
from kedge.settings.snapshot import Snapshot
from kedge.settings.values import Considered, Settings
from kedge.settings.words import Occurrence, Words, read_words

#: The rank of the command line: above every variable and file.
_COMMAND_LINE = (9, 0)


def merge(argv: Sequence[str] | Words, snapshot: Snapshot) -> Settings:
    """Decide every option of the command that was named.

    Raises ``UsageError`` for the command line and ``SettingError`` for a variable or a file. For
    ``kedge config``, which is there to mend them, bad variables and entries become warnings.
    """
    words = argv if isinstance(argv, Words) else read_words(argv)
    merger = _Merger(words, snapshot)
    values: dict[Option[Any], tuple[Sourced[Any], ...]] = {}
    considered: dict[Option[Any], tuple[Considered, ...]] = {}
    warnings: list[str] = list(snapshot.warnings)
    for option in table.options_of(words.command):
        try:
            values[option] = merger.parts(option)
        except SettingError as error:
            if words.command != CONFIG:
                raise
            warnings.append(error.message)
            values[option] = ()
        considered[option] = merger.considered(option)
    values[table.NO_CACHE_DIR] = merger.cache_switch(values[table.NO_CACHE_DIR])
    settings = Settings(
        command=words.command,
        action=words.action,
        arguments=words.arguments,
        snapshot=snapshot,
        isolated=words.isolated or snapshot.isolated,
        truststore=merger.truststore(values),
        format_parts=merger.format_parts(values),
        parts=values,
        seen=considered,
        warnings=tuple(warnings),
    )
    check_combinations(settings)
    return settings.with_warnings(passed_over(settings))


def preview(argv: Sequence[str] | Words, snapshot: Snapshot) -> Sourced[str | None]:
    """``--python`` alone, before the target environment and its file are known.

    The environment's own file may change any setting but this one, so nothing else is judged:
    take the snapshot without a prefix, ask this, find the environment, add its file, merge.
    Raises as :func:`merge` does.
    """
    words = argv if isinstance(argv, Words) else read_words(argv)
    parts = _Merger(words, snapshot).parts(table.PYTHON)
    return parts[-1] if parts else Sourced(None)


@dataclass(frozen=True, slots=True)
class _Part:
    """One setting in force. ``switch`` is what a flag of the command line says."""

    text: str
    origin: Origin
    switch: bool | None = None


class _Merger:
    """The settings of one run, by option."""

    def __init__(self, words: Words, snapshot: Snapshot) -> None:
        self.words = words
        self.snapshot = snapshot
        self.settings: dict[Option[Any], list[Setting]] = {}
        isolated = words.isolated or snapshot.isolated
        self.ordered = configured(words.command, snapshot, isolated=isolated)
        for setting in self.ordered:
            self.settings.setdefault(setting.option, []).append(setting)

    def parts(self, option: Option[Any]) -> tuple[Sourced[Any], ...]:
        """The values in force, weakest first; one at most unless the option takes several."""
        given = [_given(one) for one in self.words.occurrences if one.option is option]
        config = [one for one in self.settings.get(option, ()) if not one.masked]
        found: tuple[Sourced[Any], ...]
        match option.kind:
            case Kind.FLAG:
                parts = self._last(given) or self._last(_plain(config))
                found = tuple(self._flag(part) for part in parts)
            case Kind.COUNT:
                found = self._count(config, given)
            case Kind.VALUE:
                parts = self._last(given) or self._last(_plain(config))
                found = tuple(self._value(option, part) for part in parts)
            case Kind.LIST:
                split = [
                    _Part(word, one.origin)
                    for one in self._last(_plain(config))
                    for word in one.text.split()
                ]
                found = tuple(self._value(option, part) for part in (*split, *given))
            case Kind.CUMULATIVE:
                found = tuple(self._value(option, part) for part in (*_plain(config), *given))
        if option.treatment is Treatment.REFUSED:
            _refuse(option, found)
        return found

    def considered(self, option: Option[Any]) -> tuple[Considered, ...]:
        """Every setting of an option, strongest first, and whether it is in force."""
        given = [_given(one) for one in self.words.occurrences if one.option is option]
        config = self.settings.get(option, [])
        several = option.kind in (Kind.COUNT, Kind.LIST, Kind.CUMULATIVE)
        shown: list[Considered] = []
        for number, part in enumerate(reversed(given)):
            setting = Sourced(part.text, part.origin)
            shown.append(Considered(setting, in_force=several or number == 0))
        beaten = bool(given) and not several
        for one in reversed(config):
            in_force = not one.masked and not beaten
            shown.append(Considered(one.setting, in_force=in_force))
            beaten = beaten or (in_force and option.kind is not Kind.CUMULATIVE)
        return tuple(shown)

    def cache_switch(self, off: tuple[Sourced[bool], ...]) -> tuple[Sourced[bool], ...]:
        """``--no-cache-dir``, which in pip writes the same value as ``--cache-dir``.

        On the command line the later of the two wins, over everything else; below that, any
        boolean word switches the cache off, "false" too, and also where another setting names a
        folder (pip's ``_handle_no_cache_dir``).
        """
        both = (table.CACHE_DIR, table.NO_CACHE_DIR)
        given = [one.option for one in self.words.occurrences if one.option in both]
        if given and given[-1] is table.CACHE_DIR:
            return ()
        return tuple(Sourced(True, one.origin) for one in off[-1:])

    def truststore(
        self, values: Mapping[Option[Any], tuple[Sourced[Any], ...]]
    ) -> Sourced[bool] | None:
        """Whether the stronger setting asks for truststore or for legacy-certs.

        On the same level legacy-certs wins, as it does in pip.
        """
        asked = [one for one in values[table.USE_FEATURE] if one.value == TRUSTSTORE]
        declined = [one for one in values[table.USE_DEPRECATED] if one.value == LEGACY_CERTS]
        if asked and (
            not declined or self._rank(asked[-1].origin) > self._rank(declined[-1].origin)
        ):
            return Sourced(True, asked[-1].origin)
        return Sourced(False, declined[-1].origin) if declined else None

    def format_parts(
        self, values: Mapping[Option[Any], tuple[Sourced[Any], ...]]
    ) -> tuple[tuple[Option[Any], tuple[str, ...]], ...]:
        """``--no-binary`` and ``--only-binary`` in the order in which they change each other."""
        both = (table.NO_BINARY, table.ONLY_BINARY)
        waiting = {option: list(values.get(option, ())) for option in both}
        order = [one.option for one in self.ordered if one.option in both and not one.masked]
        order += [one.option for one in self.words.occurrences if one.option in both]
        return tuple((option, waiting[option].pop(0).value) for option in order if waiting[option])

    def _rank(self, origin: Origin) -> tuple[int, int]:
        if origin.kind is OriginKind.COMMAND_LINE:
            return _COMMAND_LINE
        return next(one.rank for one in self.ordered if one.origin == origin)

    @staticmethod
    def _last(parts: Sequence[_Part]) -> Sequence[_Part]:
        return parts[-1:]

    def _flag(self, part: _Part) -> Sourced[bool]:
        if part.switch is not None:
            return Sourced(part.switch, part.origin)
        # A variable or an entry gives the value itself, also under the name of a flag that
        # switches off: pip's no-compile = false is what turns compiling off.
        return Sourced(_judge(readers.boolean, part), part.origin)

    def _count(self, config: Sequence[Setting], given: Sequence[_Part]) -> tuple[Sourced[int], ...]:
        base = [Sourced(_judge(readers.count, part), part.origin) for part in _plain(config)[-1:]]
        return (*base, *(Sourced(1, part.origin) for part in given))

    def _value(self, option: Option[Any], part: _Part) -> Sourced[Any]:
        if not part.text.strip() and not option.may_be_empty:
            raise UsageError(
                f"{part.origin.name} was given an empty value.",
                hint="Leave the option out, or give it a value.",
            )
        if option.choices and part.text not in option.choices:
            _bad(part, f"expected one of {', '.join(option.choices)}")
        text = self.snapshot.platform.expand(part.text) if option.path else part.text
        return Sourced(_judge(option.read, _Part(text, part.origin)), part.origin)


def _given(occurrence: Occurrence) -> _Part:
    origin = Origin(OriginKind.COMMAND_LINE, occurrence.flag)
    switch = None
    if not occurrence.option.kind.takes_value:
        switch = occurrence.flag not in occurrence.option.off_flags
    return _Part(occurrence.text or "", origin, switch)


def _plain(settings: Sequence[Setting]) -> list[_Part]:
    return [_Part(one.text, one.origin) for one in settings]


def _judge(read: Callable[[str], Any], part: _Part) -> Any:
    try:
        return read(part.text)
    except ValueError as error:
        _bad(part, str(error))


def _bad(part: _Part, expected: str) -> NoReturn:
    text = redact_url(part.text) if "://" in part.text else part.text
    if part.origin.kind is OriginKind.COMMAND_LINE:
        raise UsageError(f"{part.origin.name} was given {text!r}: {expected}.")
    raise SettingError(f"{part.origin} is {text!r}: {expected}.", origin=part.origin)


def _refuse(option: Option[Any], found: Sequence[Sourced[Any]]) -> None:
    used = [one for one in found if one.value is not False]
    if not used:
        return
    origin = used[-1].origin
    message = f"{origin.name} cannot be obeyed: {option.reason}."
    if origin.kind is OriginKind.COMMAND_LINE:
        raise UsageError(message, hint="pip can do this.")
    raise SettingError(
        f"{origin} cannot be obeyed: {option.reason}.",
        origin=origin,
        hint="Unset it for kedge, or use pip.",
    )
