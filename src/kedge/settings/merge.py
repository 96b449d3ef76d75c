"""From the words and the snapshot to ``Settings``: which value is in force, and who set it.

Pure: it opens nothing and asks nobody. Strongest first: the command line, ``PIP_*``, the
command's section of the files, their ``[global]`` section (see :mod:`kedge.settings.layers`).
A setting that lost is not judged; one that is in force and wrong is a ``UsageError`` (exit 2)
from the command line, a ``SettingError`` (exit 3) from anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from kedge.errors import SettingError, UsageError
from kedge.model import Origin, OriginKind, Sourced, redact_url
from kedge.settings import options as table
from kedge.settings import readers
from kedge.settings.commands import CONFIG
from kedge.settings.features import LEGACY_CERTS, TRUSTSTORE
from kedge.settings.files import Platform
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
        ordered=merger.in_order(values),
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


class _Part(NamedTuple):
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
        strongest = config if option.kind is Kind.CUMULATIVE else config[-1:]
        if given and option.kind in (Kind.FLAG, Kind.VALUE):
            strongest, given = [], given[-1:]
        platform = self.snapshot.platform
        found = [
            value
            for one in strongest
            for value in read_setting(option, one.setting, platform=platform)
        ]
        found += [_read_word(option, part, platform) for part in given]
        if option.treatment is Treatment.REFUSED:
            _refuse(option, found)
        return tuple(found)

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

    def in_order(
        self, values: Mapping[Option[Any], tuple[Sourced[Any], ...]]
    ) -> tuple[tuple[Option[Any], Sourced[Any]], ...]:
        """The parts of all cumulative options, weakest first: some change each other's sets."""
        order = [one.option for one in self.ordered if not one.masked]
        order += [one.option for one in self.words.occurrences]
        waiting = {
            option: list(parts)
            for option, parts in values.items()
            if option.kind is Kind.CUMULATIVE
        }
        return tuple((option, waiting[option].pop(0)) for option in order if waiting.get(option))

    def _rank(self, origin: Origin) -> tuple[int, int]:
        if origin.kind is OriginKind.COMMAND_LINE:
            return _COMMAND_LINE
        return next(one.rank for one in self.ordered if one.origin == origin)


def read_setting(
    option: Option[Any], setting: Sourced[str], *, platform: Platform
) -> tuple[Sourced[Any], ...]:
    """The values that one variable or entry gives; raises as :func:`merge` does.

    A flag's variable or entry gives the value itself, also under the name of a flag that switches
    off: pip's ``no-compile = false`` is what turns compiling off.
    """
    part = _Part(setting.value, setting.origin)
    match option.kind:
        case Kind.FLAG:
            return (_judged(readers.boolean, part),)
        case Kind.COUNT:
            return (_judged(readers.count, part),)
        case Kind.LIST:
            words = [_Part(word, part.origin) for word in part.text.split()]
            return tuple(_read_value(option, word, platform) for word in words)
        case Kind.VALUE | Kind.CUMULATIVE:
            return (_read_value(option, part, platform),)


def _read_word(option: Option[Any], part: _Part, platform: Platform) -> Sourced[Any]:
    if option.kind is Kind.FLAG:
        return Sourced(part.switch, part.origin)
    if option.kind is Kind.COUNT:
        return Sourced(1, part.origin)
    if not part.text.strip() and not option.may_be_empty:
        raise UsageError(
            f"{part.origin.name} was given an empty value.",
            hint="Leave the option out, or give it a value.",
        )
    return _read_value(option, part, platform)


def _read_value(option: Option[Any], part: _Part, platform: Platform) -> Sourced[Any]:
    if option.choices and part.text not in option.choices:
        _bad(part, f"expected one of {', '.join(option.choices)}")
    text = platform.expand(part.text) if option.path else part.text
    return _judged(option.read, _Part(text, part.origin))


def _given(occurrence: Occurrence) -> _Part:
    origin = Origin(OriginKind.COMMAND_LINE, occurrence.flag)
    switch = None
    if not occurrence.option.kind.takes_value:
        switch = occurrence.flag not in occurrence.option.off_flags
    return _Part(occurrence.text or "", origin, switch)


def _judged(read: Callable[[str], Any], part: _Part) -> Sourced[Any]:
    try:
        return Sourced(read(part.text), part.origin)
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
