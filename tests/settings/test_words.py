from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.errors import UsageError
from kedge.settings import options as table
from kedge.settings.commands import COMMANDS
from kedge.settings.option import Option, Treatment
from kedge.settings.words import read_words


def given_options(line: str) -> list[tuple[str, str | None]]:
    return [(found.flag, found.text) for found in read_words(shlex.split(line)).occurrences]


@pytest.mark.parametrize(
    ("line", "options", "arguments"),
    [
        pytest.param("install flask", [], ["flask"], id="no options"),
        pytest.param("--cert a install x", [("--cert", "a")], ["x"], id="before the command"),
        pytest.param("install --cert a x", [("--cert", "a")], ["x"], id="after the command"),
        pytest.param("install x --cert a y", [("--cert", "a")], ["x", "y"], id="between"),
        pytest.param("install x --cert=a", [("--cert", "a")], ["x"], id="with an equals sign"),
        pytest.param("install --cert= x", [("--cert", "")], ["x"], id="an empty value"),
        pytest.param("install --proxy '' x", [("--proxy", "")], ["x"], id="an empty word"),
        pytest.param("install -rfile", [("-r", "file")], [], id="short, joined"),
        pytest.param("install -r file x", [("-r", "file")], ["x"], id="short, apart"),
        pytest.param("install -r=file", [("-r", "=file")], [], id="short, equals is the value's"),
        pytest.param(
            "install -qqU x", [("-q", None), ("-q", None), ("-U", None)], ["x"], id="cluster"
        ),
        pytest.param(
            "install -Ur f x", [("-U", None), ("-r", "f")], ["x"], id="cluster ends in a value"
        ),
        pytest.param(
            "install -Urf x", [("-U", None), ("-r", "f")], ["x"], id="cluster holds the value"
        ),
        pytest.param("-vvv list", [("-v", None)] * 3, [], id="cluster before the command"),
        pytest.param("-Uq install x", [("-U", None), ("-q", None)], ["x"], id="not only general"),
        pytest.param("-rf install x", [("-r", "f")], ["x"], id="joined value before the command"),
        pytest.param("-r f install x", [("-r", "f")], ["x"], id="apart before the command"),
        pytest.param("--dry install x", [("--dry-run", None)], ["x"], id="abbreviated before"),
        pytest.param(
            "install --no-dep x", [("--no-deps", None)], ["x"], id="two names, one option"
        ),
        pytest.param("install --dry x", [("--dry-run", None)], ["x"], id="abbreviated"),
        pytest.param("install --inde u x", [("--index-url", "u")], ["x"], id="abbreviated value"),
        pytest.param(
            "install --ext u x", [("--extra-index-url", "u")], ["x"], id="pip's own comes first"
        ),
        pytest.param("install --extra-c u x", [("--extra-cert", "u")], ["x"], id="kedge's own"),
        pytest.param("install --pre x", [("--pre", None)], ["x"], id="exact beats longer ones"),
        pytest.param("install -- -x --pre", [], ["-x", "--pre"], id="nothing after two dashes"),
        pytest.param("--pre -- install -x", [("--pre", None)], ["-x"], id="dashes before"),
        pytest.param("install --report - x", [("--report", "-")], ["x"], id="a dash is a value"),
        pytest.param("install --report --pre x", [("--report", "--pre")], ["x"], id="greedy value"),
        pytest.param("--timeout 5 install install", [("--timeout", "5")], ["install"], id="twice"),
        pytest.param("install - x", [], ["-", "x"], id="a lone dash is an argument"),
        pytest.param(
            "--extra-index-url a install --extra-index-url b x --extra-index-url c",
            [("--extra-index-url", word) for word in "abc"],
            ["x"],
            id="repeated, in order",
        ),
        pytest.param("list -e", [("-e", None)], [], id="-e is a switch of list"),
        pytest.param("install -e .", [("-e", ".")], [], id="-e takes a value with install"),
    ],
)
def test_words_are_told_apart(
    line: str, options: list[tuple[str, str | None]], arguments: list[str]
) -> None:
    words = read_words(shlex.split(line))
    assert [(one.flag, one.text) for one in words.occurrences] == options
    assert list(words.arguments) == arguments


@pytest.mark.parametrize(
    ("line", "action", "arguments"),
    [
        ("trust", "show", []),
        ("trust show", "show", []),
        ("trust -v show host", "show", ["host"]),
        ("trust export", "export", []),
        ("config --user set global.cert a.pem", "set", ["global.cert", "a.pem"]),
        ("--user config unset global.cert", "unset", ["global.cert"]),
        ("config list", "list", []),
        ("cache remove 'num*'", "remove", ["num*"]),
    ],
)
def test_actions(line: str, action: str, arguments: list[str]) -> None:
    words = read_words(shlex.split(line))
    assert (words.action, list(words.arguments)) == (action, arguments)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        pytest.param("install --nonsense x", ["--nonsense", "install"], id="unknown option"),
        pytest.param("--nonsense install x", ["--nonsense"], id="unknown before the command"),
        pytest.param("install -Z x", ["-Z"], id="unknown letter"),
        pytest.param("install -UZ x", ["-Z"], id="unknown letter in a cluster"),
        pytest.param("instal x", ["instal", "'kedge install'"], id="a misspelt command"),
        pytest.param("install --upgrad-strategy eager", ["--upgrade-strategy"], id="misspelt"),
        pytest.param("show flask", ["show", "python -m pip show"], id="a command of pip's"),
        pytest.param("install --no", ["--no-deps", "--no-index"], id="ambiguous"),
        pytest.param("install --upg x", ["--upgrade", "--upgrade-strategy"], id="as in pip"),
        pytest.param("--upg install x", ["--upgrade", "--upgrade-strategy"], id="before too"),
        pytest.param("install --cert", ["--cert"], id="a value is missing"),
        pytest.param("install x -r", ["-r"], id="a short value is missing"),
        pytest.param("install --upgrade=yes x", ["--upgrade", "yes"], id="a switch with a value"),
        pytest.param("-e install .", ["-e", "after"], id="means two things before the command"),
        pytest.param("list --target x", ["--target", "install"], id="another command's option"),
        pytest.param("list flask", ["flask"], id="a word too many"),
        pytest.param("config", ["list", "get", "set", "unset"], id="no action"),
        pytest.param("config sett a b", ["sett", "'set'"], id="a misspelt action"),
        pytest.param("config set global.cert", ["config set"], id="too few words"),
        pytest.param("config get a b", ["'b'"], id="too many words"),
        pytest.param("trust show a b", ["'b'"], id="too many hosts"),
    ],
)
def test_wrong_words_are_named(line: str, named: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read_words(shlex.split(line))
    assert caught.value.exit_code == 2
    told = f"{caught.value.message} {caught.value.hint}"
    assert [word for word in named if word not in told] == []


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("--help", None),
        ("-h", None),
        ("help", None),
        ("install --help", "install"),
        ("--help install", "install"),
        ("install x -h --nonsense", "install"),
        ("help config", "config"),
        ("config -h", "config"),
    ],
)
def test_help_is_asked_for(line: str, command: str | None) -> None:
    words = read_words(line.split())
    assert (words.help, words.command) == (True, command)


def test_help_on_what_is_no_command_is_for_others_to_give() -> None:
    words = read_words(["help", "tls-interception"])
    assert (words.help, words.command, words.arguments) == (True, None, ("tls-interception",))


def test_a_mistake_before_help_is_still_a_mistake() -> None:
    with pytest.raises(UsageError):
        read_words(["install", "--nonsense", "--help"])


@pytest.mark.parametrize("line", ["--version", "-V", "install --version", "-qV"])
def test_the_version_is_asked_for(line: str) -> None:
    assert read_words(line.split()).version


@pytest.mark.parametrize("line", ["", "-v", "--cert a", "--"])
def test_no_command(line: str) -> None:
    words = read_words(line.split())
    assert (words.command, words.help) == (None, False)


@pytest.mark.parametrize("line", ["--isolated list", "list --isolated", "list --iso"])
def test_isolated_is_known_before_any_file_is_read(line: str) -> None:
    assert read_words(line.split()).isolated
    assert not read_words(["list"]).isolated


def _words_for(option: Option[object]) -> st.SearchStrategy[list[str]]:
    value = st.sampled_from(["install", "-x", "--pre", "a=b", "", "."])
    flags = st.sampled_from(option.all_flags)
    if not option.kind.takes_value:
        return flags.map(lambda flag: [flag])
    joined = st.tuples(flags, value).map(
        lambda pair: [f"{pair[0]}={pair[1]}" if pair[0].startswith("--") else "".join(pair)]
    )
    apart = st.tuples(flags, value).map(list)
    # "-r" with an empty rest is "-r" and the next word.
    return apart | joined.filter(lambda words: len(words[0]) > 2)


_SAME_EVERYWHERE = [
    option
    for option in table.options_of("install")
    if option not in (table.HELP, table.VERSION, table.EDITABLE)
]


@given(
    st.lists(st.sampled_from(_SAME_EVERYWHERE).flatmap(_words_for), max_size=6),
    st.lists(st.sampled_from(["flask", "x==1", "-"]), max_size=3),
    st.randoms(use_true_random=False),
)
def test_the_place_of_an_option_changes_nothing(
    options: list[list[str]], arguments: list[str], random: object
) -> None:
    """Any interleaving that keeps the order of options and of arguments reads the same."""
    flat = [word for words in options for word in words]
    usual = read_words(["install", *flat, "--", *arguments])
    pieces = ["install", *arguments]
    mixed: list[str] = []
    waiting = list(options)
    for piece in pieces:
        while waiting and random.random() < 0.5:  # type: ignore[attr-defined]
            mixed += waiting.pop(0)
        mixed.append(piece)
    mixed += [word for words in waiting for word in words]
    assert read_words(mixed) == usual


def test_every_option_is_understood_by_each_of_its_commands() -> None:
    for command in COMMANDS:
        if command.name == "help":
            continue
        for option in table.options_of(command.name):
            for flag in option.all_flags:
                line = [flag, *(["value"] if option.kind.takes_value else [])]
                words = ["help"] if option is table.HELP else []
                action = [command.actions[0].name] if command.actions else []
                found = read_words([command.name, *action, *line]).occurrences
                assert [(one.option, one.flag) for one in found] == [(option, flag)], words


def test_refused_options_are_still_options() -> None:
    """They must not be taken for arguments, nor their values."""
    refused = [one for one in table.OPTIONS if one.treatment is Treatment.REFUSED]
    assert refused
    assert all(one.reason for one in table.OPTIONS if one.treatment is not Treatment.OBEYED)
