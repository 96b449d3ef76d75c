from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from kedge.settings import options as table
from kedge.settings.commands import COMMANDS
from kedge.settings.option import Kind, Option, Treatment

NAMES = [command.name for command in COMMANDS]


@pytest.mark.parametrize("command", [None, *NAMES])
def test_a_flag_means_one_thing_to_a_command(command: str | None) -> None:
    flags = Counter(flag for option in table.options_of(command) for flag in option.all_flags)
    assert [flag for flag, times in flags.items() if times > 1] == []


@pytest.mark.parametrize("option", table.OPTIONS, ids=lambda option: option.flag)
def test_a_row_is_whole(option: Option[Any]) -> None:
    assert option.help.endswith(".") or option.metavar == "URL"
    assert option.group in table.GROUPS
    assert bool(option.reason) is (option.treatment is not Treatment.OBEYED)
    assert bool(option.metavar) is option.kind.takes_value
    assert all(flag.startswith("--") or len(flag) == 2 for flag in option.all_flags)
    assert not (option.off_flags and option.kind is not Kind.FLAG)
    if option.kind in (Kind.LIST, Kind.CUMULATIVE):
        assert option.default == ()
    if option.choices and option.kind is Kind.VALUE:
        assert option.default in option.choices


def test_every_group_is_used() -> None:
    assert {option.group for option in table.OPTIONS} == set(table.GROUPS)
