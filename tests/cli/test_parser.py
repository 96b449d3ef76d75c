from __future__ import annotations

import re
import subprocess
import sys

import pytest

from kedge.cli.parser import build_parser, format_help
from kedge.settings import options as table
from kedge.settings.commands import COMMANDS, find_command
from kedge.settings.option import Kind, Treatment
from kedge.settings.words import read_words

NAMES = [command.name for command in COMMANDS]


@pytest.mark.parametrize("command", [None, *NAMES])
@pytest.mark.parametrize("width", [20, 80, 200])
def test_help_names_what_a_command_takes(command: str | None, width: int) -> None:
    text = format_help(command, width=width)
    words = set(re.findall(r"(?<![\w-])--?[\w-]+", text))
    for option in table.options_of(command):
        if option.treatment is Treatment.OBEYED:
            assert set(option.all_flags) <= words, option
        if option.treatment is Treatment.REFUSED:
            assert option.name not in re.findall(r"^  .*?--([\w-]+)", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= max(width, 75)
    assert text.endswith("\n")


def test_help_lists_every_command_and_nothing_else() -> None:
    block = format_help().partition("Commands:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  (\w+)", block, re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", ["trust", "config", "cache"])
def test_help_lists_the_actions(name: str) -> None:
    command = find_command(name)
    assert command is not None
    block = format_help(name).partition("Actions:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^  ([\w-]+)", block, re.MULTILINE)
    assert found == [action.name for action in command.actions]


@pytest.mark.parametrize("command", [None, "install"])
def test_help_in_groups(command: str | None) -> None:
    text = format_help(command)
    headings = [line[:-1] for line in text.splitlines() if re.fullmatch(r"[A-Z][\w ]+:", line)]
    groups = [group for group in headings if group in table.GROUPS]
    assert groups == [group for group in table.GROUPS if group in groups]
    assert {option.group for option in table.options_of(command)} >= set(groups)
    assert {"Trust", "Network", "General"} <= set(groups)


@pytest.mark.parametrize("command", NAMES)
def test_argparse_has_the_same_table(command: str) -> None:
    """For completions: the flags, and whether a value follows, are those that are understood."""
    parser = build_parser(command)
    known = {
        flag: action.nargs is None for action in parser._actions for flag in action.option_strings
    }
    assert known == {
        flag: option.kind.takes_value
        for option in table.options_of(command)
        if option.treatment is Treatment.OBEYED
        for flag in option.all_flags
    }


def test_argparse_reads_a_plain_line_alike() -> None:
    line = ["-r", "a", "--cert=c", "-qqU", "--extra-cert", "d", "--extra-cert", "e", "--no-compile"]
    space = vars(build_parser("install").parse_args(line))
    found = read_words(["install", *line]).occurrences
    for option in {one.option for one in found}:
        texts = [one.text for one in found if one.option is option]
        value = space[option.name.replace("-", "_")]
        match option.kind:
            case Kind.VALUE:
                assert value == texts[-1]
            case Kind.COUNT:
                assert value == len(texts)
            case Kind.FLAG:
                assert value is (option is not table.COMPILE)
            case _:
                assert value == texts


@pytest.mark.parametrize(
    "module", ["kedge.settings.words", "kedge.settings.merge", "kedge.cli.parser", "kedge.errors"]
)
def test_the_command_line_is_cheap_to_import(module: str) -> None:
    """`kedge --version` must not pay for what it does not use."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    dear = {
        "argparse", "certifi", "configparser", "cryptography", "difflib", "email", "http",
        "installer", "json", "optparse", "packaging", "platformdirs", "requests", "rich", "ssl",
        "subprocess", "tempfile", "truststore", "urllib3",
    }  # fmt: skip
    assert loaded & dear == set()
