"""What is in force, and by whom: flags anywhere, repeated, merged with variables and files."""

from __future__ import annotations

from typing import Any

import pytest

from kedge.errors import SettingError, UsageError
from kedge.model import Origin, OriginKind, Sourced
from kedge.settings import options as table
from kedge.settings.features import PIP_DEPRECATED, PIP_FEATURES
from kedge.settings.files import FileKind
from kedge.settings.merge import merge, preview
from kedge.settings.option import Kind, Option, Treatment
from support.configured import PATHS, configured, snapshot_of

FLAG = OriginKind.COMMAND_LINE
VARIABLE = OriginKind.ENVIRONMENT
FILE = OriginKind.FILE


def at(origin: Origin) -> tuple[OriginKind, str, str | None, int | None]:
    """Kind, name, whose file, line: what a user needs to find the setting."""
    owner = next((kind.value for kind, path in PATHS.items() if path == origin.path), origin.path)
    return origin.kind, origin.name, owner, origin.line


# --------------------------------------------------------------------------------------------
# One value


ALL_FILES = {
    "machine": "[global]\ncert = machine.pem\n",
    "user": "[global]\ncert = user.pem\n",
    "site": "[global]\n# ours\ncert = site.pem\n",
    "named": "[global]\ncert = named.pem\n",
}


def only(*names: str) -> dict[str, str]:
    return {name: ALL_FILES[name] for name in names}


@pytest.mark.parametrize(
    ("line", "environ", "files", "value", "origin"),
    [
        pytest.param("list", {}, {}, None, (OriginKind.DEFAULT, "", None, None), id="nothing"),
        pytest.param(
            "list", {}, only("machine"), "machine.pem", (FILE, "cert", "global", 2), id="machine"
        ),
        pytest.param(
            "list", {}, only("machine", "user"), "user.pem", (FILE, "cert", "user", 2), id="user"
        ),
        pytest.param(
            "list",
            {},
            only("machine", "user", "site"),
            "site.pem",
            (FILE, "cert", "site", 3),
            id="environment's file",
        ),
        pytest.param(
            "list", {}, ALL_FILES, "named.pem", (FILE, "cert", "PIP_CONFIG_FILE", 2), id="named"
        ),
        pytest.param(
            "list",
            {"PIP_CERT": "v.pem"},
            ALL_FILES,
            "v.pem",
            (VARIABLE, "PIP_CERT", None, None),
            id="variable over files",
        ),
        pytest.param(
            "list --cert f.pem",
            {"PIP_CERT": "v.pem"},
            ALL_FILES,
            "f.pem",
            (FLAG, "--cert", None, None),
            id="flag over all",
        ),
        pytest.param(
            "--cert f.pem list",
            {"PIP_CERT": "v.pem"},
            ALL_FILES,
            "f.pem",
            (FLAG, "--cert", None, None),
            id="flag before the command",
        ),
        pytest.param(
            "--cert a.pem list --cert b.pem",
            {},
            {},
            "b.pem",
            (FLAG, "--cert", None, None),
            id="the last flag",
        ),
        pytest.param(
            "list",
            {},
            {"machine": "[list]\ncert = m.pem\n", "named": "[global]\ncert = n.pem\n"},
            "m.pem",
            (FILE, "cert", "global", 2),
            id="a command's section over [global], whoever's",
        ),
        pytest.param(
            "freeze",
            {},
            {"machine": "[list]\ncert = m.pem\n", "user": "[global]\ncert = u.pem\n"},
            "u.pem",
            (FILE, "cert", "user", 2),
            id="another command's section",
        ),
        pytest.param(
            "list",
            {"PIP_CERT": ""},
            only("user"),
            "user.pem",
            (FILE, "cert", "user", 2),
            id="an empty variable is unset",
        ),
        pytest.param(
            "list",
            {"PIP_CERT": "  "},
            only("user"),
            "user.pem",
            (FILE, "cert", "user", 2),
            id="a blank variable is unset",
        ),
        pytest.param(
            "list",
            {},
            {"user": "[global]\ncert = u.pem\n", "site": "[global]\ncert =\n"},
            None,
            (OriginKind.DEFAULT, "", None, None),
            id="an empty entry unsets what is weaker in its section",
        ),
        pytest.param(
            "list",
            {},
            {"user": "[global]\ncert = u.pem\n", "site": "[list]\ncert =\n"},
            "u.pem",
            (FILE, "cert", "user", 2),
            id="... but not in the other section",
        ),
        pytest.param(
            "list",
            {},
            {"user": "[DEFAULT]\ncert = d.pem\n[global]\ntimeout = 5\n"},
            "d.pem",
            (FILE, "cert", "user", 2),
            id="defaults of the file",
        ),
        pytest.param(
            "list",
            {},
            {"user": "[DEFAULT]\ncert = d.pem\n[install]\n"},
            None,
            (OriginKind.DEFAULT, "", None, None),
            id="defaults of the file, which has no such section",
        ),
        pytest.param(
            "list",
            {},
            {"user": "[Global]\ncert = u.pem\n"},
            None,
            (OriginKind.DEFAULT, "", None, None),
            id="sections are told apart by case",
        ),
    ],
)
def test_who_decides(
    line: str,
    environ: dict[str, str],
    files: dict[str, str],
    value: str | None,
    origin: tuple[OriginKind, str, str | None, int | None],
) -> None:
    found = configured(line, environ, **files)[table.CERT]
    assert (found.value, at(found.origin)) == (value, origin)


@pytest.mark.parametrize(
    "environ",
    [
        {"PIP_DEFAULT_TIMEOUT": "7"},
        {"PIP_TIMEOUT": "7"},
        {"PIP_timeout": "7"},
        {"PIP_DEFAULT-TIMEOUT": "7"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_names_of_variables(environ: dict[str, str]) -> None:
    assert configured("list", environ).value(table.TIMEOUT) == 7.0


@pytest.mark.parametrize("environ", [{"pip_timeout": "7"}, {"TIMEOUT": "7"}, {"PIP_DEF": "7"}])
def test_no_names_of_variables(environ: dict[str, str]) -> None:
    assert configured("list", environ).value(table.TIMEOUT) == 15.0


@pytest.mark.parametrize(
    "name", ["default-timeout", "default_timeout", "TIMEOUT", "--timeout", "Default_Timeout"]
)
def test_names_in_files(name: str) -> None:
    settings = configured("list", user=f"[global]\n{name} = 7\n")
    assert settings.value(table.TIMEOUT) == 7.0
    assert settings[table.TIMEOUT].origin.name == name


def test_two_spellings_in_one_file_are_one_name() -> None:
    settings = configured("list", user="[global]\nextra-cert = a\nextra_cert = b\n")
    assert settings.value(table.EXTRA_CERT) == ("b",)


def test_aliases_in_one_section_the_stronger_file_decides() -> None:
    user, site = "[global]\ntimeout = 1\ndefault-timeout = 2\n", "[global]\ntimeout = 3\n"
    assert configured("list", user=user).value(table.TIMEOUT) == 2.0
    assert configured("list", user=user, site=site).value(table.TIMEOUT) == 3.0


def test_what_the_command_does_not_take_is_passed_over() -> None:
    settings = configured(
        "freeze", {"PIP_INDEX_URL": "x", "PIP_NO_SUCH": "y"}, user="[global]\nnonsense = 1\n"
    )
    assert settings.warnings == ()
    with pytest.raises(KeyError):
        settings[table.INDEX_URL]


# --------------------------------------------------------------------------------------------
# Flags, counts


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *((word, True) for word in ("1", "yes", "Y", "t", "TRUE", "on")),
        *((word, False) for word in ("0", "no", "N", "f", "False", "off")),
    ],
)
@pytest.mark.parametrize("source", ["variable", "file"])
def test_boolean_words(word: str, value: bool, source: str) -> None:
    if source == "variable":
        settings = configured("install x", {"PIP_UPGRADE": word})
    else:
        settings = configured("install x", user=f"[install]\nupgrade = {word}\n")
    assert settings.value(table.UPGRADE) is value


@pytest.mark.parametrize(
    ("line", "environ", "option", "value"),
    [
        ("install x", {}, table.COMPILE, False),
        ("install x --compile", {}, table.COMPILE, True),
        ("install --compile x --no-compile", {}, table.COMPILE, False),
        ("install --no-compile x --compile", {}, table.COMPILE, True),
        ("install x", {"PIP_COMPILE": "1"}, table.COMPILE, True),
        # pip's documented oddity: the value, not its opposite, whichever flag it is named after.
        ("install x", {"PIP_NO_COMPILE": "1"}, table.COMPILE, True),
        ("install x", {"PIP_NO_COMPILE": "0"}, table.COMPILE, False),
        ("install x", {"PIP_NO_WARN_SCRIPT_LOCATION": "0"}, table.WARN_SCRIPT_LOCATION, False),
        ("install x", {"PIP_NO_BUILD_ISOLATION": "no"}, table.BUILD_ISOLATION, False),
        ("install x", {}, table.USER, None),
        ("install x", {"PIP_USER": "1"}, table.USER, True),
        ("install x", {"PIP_USER": "no"}, table.USER, False),
        ("install x --no-user", {"PIP_USER": "1"}, table.USER, False),
        ("list --exclude-editable", {}, table.INCLUDE_EDITABLE, False),
        ("install -U x", {"PIP_UPGRADE": "no"}, table.UPGRADE, True),
        ("list", {"PIP_VERBOSE": "2"}, table.VERBOSE, 2),
        ("list", {"PIP_VERBOSE": "yes"}, table.VERBOSE, 1),
        ("list", {"PIP_VERBOSE": "no"}, table.VERBOSE, 0),
        ("list -vv", {"PIP_VERBOSE": "2"}, table.VERBOSE, 4),
        ("-v list -v", {}, table.VERBOSE, 2),
        ("-qq list -q", {}, table.QUIET, 3),
    ],
)  # fmt: skip
def test_flags_and_counts(
    line: str, environ: dict[str, str], option: Option[Any], value: object
) -> None:
    assert configured(line, environ).value(option) == value


def test_verbosity_is_what_remains() -> None:
    assert configured("-vvv list -q", {"PIP_QUIET": "1"}).verbosity == 1


# --------------------------------------------------------------------------------------------
# Lists


@pytest.mark.parametrize(
    ("line", "environ", "files", "values"),
    [
        pytest.param("install x", {}, {}, [], id="nothing"),
        pytest.param(
            "--extra-index-url a install --extra-index-url b x --extra-index-url c",
            {},
            {},
            [("a", FLAG), ("b", FLAG), ("c", FLAG)],
            id="before, after and between",
        ),
        pytest.param(
            "install x",
            {"PIP_EXTRA_INDEX_URL": " a\tb  c "},
            {},
            [("a", VARIABLE), ("b", VARIABLE), ("c", VARIABLE)],
            id="whitespace splits a variable",
        ),
        pytest.param(
            "install x",
            {},
            {"user": "[global]\nextra-index-url =\n    a\n    # not b\n    c\n"},
            [("a", FILE), ("c", FILE)],
            id="lines split an entry",
        ),
        pytest.param(
            "install x",
            {"PIP_EXTRA_INDEX_URL": "v"},
            {"user": "[install]\nextra-index-url = f\n"},
            [("v", VARIABLE)],
            id="a variable replaces a file's list",
        ),
        pytest.param(
            "install x",
            {},
            {
                "machine": "[install]\nextra-index-url = m\n",
                "site": "[global]\nextra-index-url = s\n",
            },
            [("m", FILE)],
            id="one file's list replaces another's",
        ),
        pytest.param(
            "install --extra-index-url f x",
            {"PIP_EXTRA_INDEX_URL": "v w"},
            {},
            [("v", VARIABLE), ("w", VARIABLE), ("f", FLAG)],
            id="the command line adds",
        ),
        pytest.param(
            "install --extra-index-url 'a b' x",
            {},
            {},
            [("a b", FLAG)],
            id="the command line is not split",
        ),
    ],
)
def test_lists(
    line: str,
    environ: dict[str, str],
    files: dict[str, str],
    values: list[tuple[str, OriginKind]],
) -> None:
    settings = configured(line, environ, **files)
    found = settings.each(table.EXTRA_INDEX_URL)
    assert [(one.value, one.origin.kind) for one in found] == values
    assert settings.value(table.EXTRA_INDEX_URL) == tuple(value for value, _ in values)


def test_the_parts_of_a_list_keep_their_own_origin() -> None:
    settings = configured("--extra-cert a list --extra-cert b", user="[global]\nextra_cert = c d\n")
    assert [(one.value, at(one.origin)) for one in settings.each(table.EXTRA_CERT)] == [
        ("c", (FILE, "extra_cert", "user", 2)),
        ("d", (FILE, "extra_cert", "user", 2)),
        ("a", (FLAG, "--extra-cert", None, None)),
        ("b", (FLAG, "--extra-cert", None, None)),
    ]


def test_every_level_of_format_control_counts_in_order() -> None:
    settings = configured(
        "--no-binary a install --only-binary b,c x",
        {"PIP_ONLY_BINARY": ":all:"},
        user="[install]\nno-binary = d\n[global]\nno-binary = e f\n",
    )
    found = settings.in_order(table.NO_BINARY, table.ONLY_BINARY)
    assert [(option.flag, one.value, one.origin.kind) for option, one in found] == [
        ("--no-binary", "e f", FILE),
        ("--no-binary", "d", FILE),
        ("--only-binary", ":all:", VARIABLE),
        ("--no-binary", "a", FLAG),
        ("--only-binary", "b,c", FLAG),
    ]
    assert settings.value(table.ONLY_BINARY) == (":all:", "b,c")


# --------------------------------------------------------------------------------------------
# Paths


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", "/home/ada"),
        ("~/ca.pem", "/home/ada/ca.pem"),
        ("~bob/ca.pem", "/home/bob/ca.pem"),
        ("~nobody/ca.pem", "~nobody/ca.pem"),
        ("a/~/b", "a/~/b"),
        ("rel/ca.pem", "rel/ca.pem"),
    ],
)
@pytest.mark.parametrize("source", ["flag", "variable", "file"])
def test_home_in_paths(text: str, value: str, source: str) -> None:
    match source:
        case "flag":
            settings = configured(f"list '--cert={text}'")
        case "variable":
            settings = configured("list", {"PIP_CERT": text})
        case _:
            settings = configured("list", user=f"[global]\ncert = {text}\n")
    assert settings.value(table.CERT) == value
    assert settings.trust_settings().cert == settings[table.CERT]


def test_home_is_not_looked_for_in_other_texts() -> None:
    assert configured("list --proxy ~/x").value(table.PROXY) == "~/x"


# --------------------------------------------------------------------------------------------
# Values that cannot be


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("timeout", "soon"),
        ("timeout", "0"),
        ("timeout", "-1"),
        ("timeout", "nan"),
        ("timeout", "inf"),
        ("retries", "-1"),
        ("retries", "2.5"),
        ("progress-bar", "fancy"),
        ("link-mode", "symlink"),
        ("upgrade-strategy", "Eager"),
        ("keyring-provider", "pass"),
        ("use-feature", "turbo"),
        ("use-deprecated", "truststore"),
        ("trusted-host", "https://host"),
        ("trusted-host", "host/path"),
        ("trusted-host", "host:port"),
        ("trusted-host", "host:99999"),
        ("trusted-host", "user@host"),
        ("no-binary", "--pre"),
        ("exists-action", "q"),
    ],
)
@pytest.mark.parametrize("source", ["flag", "variable", "file"])
def test_a_bad_value_is_told_with_its_origin(option: str, text: str, source: str) -> None:
    line, environ, files = "install x", {}, {}
    match source:
        case "flag":
            line = f"install x --{option}={text}"
        case "variable":
            environ = {f"PIP_{option.upper().replace('-', '_')}": text}
        case _:
            files = {"user": f"[global]\n\n{option} = {text}\n"}
    with pytest.raises((UsageError, SettingError)) as caught:
        configured(line, environ, **files)
    error = caught.value
    assert repr(text) in error.message
    if source == "flag":
        assert error.exit_code == 2
        assert f"--{option}" in error.message
    else:
        assert isinstance(error, SettingError)
        assert error.exit_code == 3
        assert at(error.origin)[2:] == ((None, None) if source == "variable" else ("user", 3))
        assert str(error.origin) in error.message


@pytest.mark.parametrize("option", ["upgrade", "no-compile", "verbose", "no-cache-dir"])
@pytest.mark.parametrize("text", ["maybe", "-1", "yes no"])
def test_a_bad_word_for_a_switch(option: str, text: str) -> None:
    with pytest.raises(SettingError) as caught:
        configured("install x", {f"PIP_{option.upper().replace('-', '_')}": text})
    assert caught.value.origin.kind is VARIABLE


def test_one_bad_word_of_a_list() -> None:
    with pytest.raises(SettingError, match="'turbo'"):
        configured("list", {"PIP_USE_FEATURE": "truststore turbo"})


def test_a_password_in_a_bad_value_is_hidden() -> None:
    with pytest.raises(UsageError) as caught:
        configured("list --trusted-host https://ada:secret@host")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("line", "environ", "files"),
    [
        pytest.param("list --timeout 5", {"PIP_TIMEOUT": "soon"}, {}, id="a flag beats it"),
        pytest.param("list", {"PIP_TIMEOUT": "5"}, {"user": "[list]\ntimeout=soon\n"}, id="too"),
    ],
)
def test_what_lost_is_not_judged(line: str, environ: dict[str, str], files: dict[str, str]) -> None:
    assert configured(line, environ, **files).value(table.TIMEOUT) == 5.0


@pytest.mark.parametrize(
    "option",
    [one for one in table.options_of("install") if one.kind.takes_value and not one.may_be_empty],
    ids=lambda option: option.flag,
)
def test_an_empty_value_on_the_command_line_is_wrong_usage(option: Option[Any]) -> None:
    with pytest.raises(UsageError) as caught:
        configured(f"install x {option.flag}=''")
    assert option.flag in caught.value.message


def test_an_empty_proxy_is_a_value_on_the_command_line_only() -> None:
    settings = configured("list --proxy ''", {"PIP_PROXY": "http://p"})
    assert settings[table.PROXY] == Sourced("", Origin(FLAG, "--proxy"))
    assert configured("list", {"PIP_PROXY": ""}).value(table.PROXY) is None


def test_config_can_be_used_to_mend_what_is_wrong() -> None:
    settings = configured(
        "config list", {"PIP_TIMEOUT": "soon"}, user="[global]\nuse-feature = turbo\n"
    )
    assert settings.value(table.TIMEOUT) == 15.0
    assert [("PIP_TIMEOUT" in text, "turbo" in text) for text in sorted(settings.warnings)] == [
        (True, False),
        (False, True),
    ]
    with pytest.raises(UsageError):
        configured("config list --timeout soon")


# --------------------------------------------------------------------------------------------
# --isolated, --python


@pytest.mark.parametrize("line", ["--isolated list", "list --isolated"])
def test_isolated_passes_over_variables_but_not_files_or_flags(line: str) -> None:
    environ = {"PIP_CERT": "v.pem", "PIP_RETRIES": "1", "REQUESTS_CA_BUNDLE": "r.pem"}
    settings = configured(line, environ, site="[global]\ncert = s.pem\n")
    assert settings.isolated
    assert settings.value(table.CERT) == "s.pem"
    assert settings.value(table.RETRIES) == 5
    bundle = settings.trust_settings().requests_ca_bundle
    assert bundle is not None
    assert bundle.value == "r.pem"


def test_a_variable_cannot_isolate_from_variables() -> None:
    settings = configured("list", {"PIP_ISOLATED": "1", "PIP_CERT": "v.pem"})
    assert not settings.isolated
    assert settings[table.ISOLATED] == Sourced(False)
    assert settings.value(table.CERT) == "v.pem"


@pytest.mark.parametrize(
    ("line", "environ", "files", "value"),
    [
        ("list", {}, {}, None),
        ("list --python p", {"PIP_PYTHON": "v"}, {}, "p"),
        ("--python ~/p list", {}, {}, "/home/ada/p"),
        ("list", {"PIP_PYTHON": "v"}, {"user": "[global]\npython = u\n"}, "v"),
        ("list", {}, {"user": "[global]\npython = u\n", "site": "[global]\npython = s\n"}, "u"),
        ("--isolated list", {"PIP_PYTHON": "v"}, {}, None),
    ],
)
def test_the_target_is_known_before_its_own_file(
    line: str, environ: dict[str, str], files: dict[str, str], value: str | None
) -> None:
    snapshot = snapshot_of(environ, **files)  # type: ignore[arg-type]
    assert preview(line.split(), snapshot).value == value
    assert merge(line.split(), snapshot).value(table.PYTHON) == value


def test_the_preview_judges_nothing_else() -> None:
    snapshot = snapshot_of({"PIP_TIMEOUT": "soon"})
    assert preview(["list"], snapshot) == Sourced(None)


# --------------------------------------------------------------------------------------------
# Options that pip has


@pytest.mark.parametrize(
    "option",
    [
        one
        for one in table.options_of("install")
        if one.treatment is Treatment.REFUSED and one.kind is not Kind.FLAG
    ],
    ids=lambda option: option.flag,
)
def test_what_cannot_be_obeyed_is_refused(option: Option[Any]) -> None:
    variable = "PIP_" + option.name.upper().replace("-", "_")
    with pytest.raises(UsageError) as usage:
        configured(f"install x {option.flag} value")
    assert option.flag in usage.value.message
    assert option.reason in usage.value.message
    with pytest.raises(SettingError) as setting:
        configured("install x", {variable: "value"})
    assert setting.value.origin == Origin(VARIABLE, variable)
    assert configured("uninstall x", {variable: "value"}).warnings == ()


def test_a_refused_switch_may_be_off() -> None:
    settings = configured("install x", {"PIP_NO_REQUIRE_HASHES": "no"})
    assert settings.value(table.NO_REQUIRE_HASHES) is False
    with pytest.raises(SettingError):
        configured("install x", {"PIP_NO_REQUIRE_HASHES": "yes"})


@pytest.mark.parametrize(
    ("line", "environ", "names"),
    [
        ("list --use-feature fast-deps", {}, ["fast-deps"]),
        ("list", {"PIP_USE_FEATURE": "fast-deps 2020-resolver"}, ["fast-deps", "2020-resolver"]),
        (
            "list --use-deprecated html5lib --use-feature fast-deps --use-feature fast-deps",
            {},
            ["fast-deps", "html5lib"],
        ),
        ("list", {"PIP_KEYRING_PROVIDER": "subprocess"}, ["PIP_KEYRING_PROVIDER"]),
        ("list --keyring-provider disabled", {}, []),
        ("list --use-feature truststore --use-deprecated legacy-certs", {}, []),
    ],
)
def test_what_only_pip_knows_is_warned_of_once(
    line: str, environ: dict[str, str], names: list[str]
) -> None:
    warnings = configured(line, environ).warnings
    assert len(warnings) == (1 if names else 0)
    assert [name for name in names if warnings[0].count(name) != 1] == []


@pytest.mark.parametrize("name", PIP_FEATURES)
def test_every_feature_of_pips_is_known(name: str) -> None:
    assert len(configured(f"list --use-feature {name}").warnings) == 1


@pytest.mark.parametrize("name", PIP_DEPRECATED)
def test_every_deprecated_feature_of_pips_is_known(name: str) -> None:
    assert len(configured(f"list --use-deprecated {name}").warnings) == 1


# --------------------------------------------------------------------------------------------
# Several options together


@pytest.mark.parametrize(
    ("line", "environ", "files", "truststore", "origin"),
    [
        pytest.param("list", {}, {}, None, None, id="nothing"),
        pytest.param("list --use-feature truststore", {}, {}, True, "--use-feature", id="flag"),
        pytest.param("list --use-feature fast-deps", {}, {}, None, None, id="another feature"),
        pytest.param(
            "list", {"PIP_USE_FEATURE": "fast-deps truststore"}, {}, True, "PIP_USE_FEATURE",
            id="variable",
        ),
        pytest.param(
            "list --use-feature fast-deps", {"PIP_USE_FEATURE": "truststore"}, {}, True,
            "PIP_USE_FEATURE", id="the command line adds",
        ),
        pytest.param(
            "list --use-feature truststore --use-deprecated legacy-certs", {}, {}, False,
            "--use-deprecated", id="declined beside it",
        ),
        pytest.param(
            "list --use-deprecated legacy-certs", {"PIP_USE_FEATURE": "truststore"}, {}, False,
            "--use-deprecated", id="declined more strongly",
        ),
        pytest.param(
            "list --use-feature truststore", {"PIP_USE_DEPRECATED": "legacy-certs"}, {}, True,
            "--use-feature", id="asked for more strongly",
        ),
        pytest.param(
            "list",
            {},
            {
                "machine": "[global]\nuse-deprecated = legacy-certs\n",
                "user": "[global]\nuse-feature = truststore\n",
            },
            True, "use-feature", id="the stronger file",
        ),
        pytest.param(
            "list",
            {},
            {"user": "[global]\nuse-feature = truststore\nuse-deprecated = legacy-certs\n"},
            False, "use-deprecated", id="in one file",
        ),
        pytest.param(
            "list --use-deprecated legacy-certs", {}, {}, False, "--use-deprecated", id="alone"
        ),
    ],
)  # fmt: skip
def test_truststore(
    line: str,
    environ: dict[str, str],
    files: dict[str, str],
    truststore: bool | None,
    origin: str | None,
) -> None:
    found = configured(line, environ, **files).trust_settings().truststore
    assert (found and found.value, found and found.origin.name) == (truststore, origin)


def test_everything_that_bears_on_trust() -> None:
    trust = configured(
        "--cert a.pem list --extra-cert b.pem --strict-certs",
        {
            "PIP_CERT": "c.pem",
            "REQUESTS_CA_BUNDLE": "r.pem",
            "CURL_CA_BUNDLE": "u.pem",
        },
        user="[global]\ncert = ~/d.pem\nextra-cert = e.pem\n",
    ).trust_settings()
    assert trust.cert == Sourced("a.pem", Origin(FLAG, "--cert"))
    assert [one.value for one in trust.weaker_certs] == ["c.pem", "/home/ada/d.pem"]
    assert [one.value for one in trust.extra_certs] == ["e.pem", "b.pem"]
    assert trust.strict == Sourced(True, Origin(FLAG, "--strict-certs"))
    assert trust.requests_ca_bundle == Sourced("r.pem", Origin(VARIABLE, "REQUESTS_CA_BUNDLE"))
    assert trust.curl_ca_bundle == Sourced("u.pem", Origin(VARIABLE, "CURL_CA_BUNDLE"))


def test_nothing_that_bears_on_trust() -> None:
    trust = configured("list", {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": " "}).trust_settings()
    assert (trust.cert, trust.requests_ca_bundle, trust.curl_ca_bundle) == (None, None, None)
    assert (trust.truststore, trust.extra_certs, trust.weaker_certs) == (None, (), ())
    assert trust.strict == Sourced(False)


@pytest.mark.parametrize(
    ("line", "environ", "files", "folder"),
    [
        ("list", {}, {}, "/home/ada/.cache/kedge"),
        ("list", {"XDG_CACHE_HOME": "/c"}, {}, "/c/kedge"),
        ("list", {"PIP_CACHE_DIR": "~/c"}, {}, "/home/ada/c"),
        ("list --cache-dir d", {"PIP_CACHE_DIR": "c"}, {}, "d"),
        ("list --no-cache-dir", {"PIP_CACHE_DIR": "c"}, {}, None),
        ("list --no-cache-dir --cache-dir d", {}, {}, "d"),
        ("list --cache-dir d --no-cache-dir", {}, {}, None),
        ("--no-cache-dir list --cache-dir d", {}, {}, "d"),
        ("list", {"PIP_NO_CACHE_DIR": "1"}, {}, None),
        ("list", {"PIP_NO_CACHE_DIR": "false"}, {}, None),
        ("list", {"PIP_NO_CACHE_DIR": ""}, {}, "/home/ada/.cache/kedge"),
        ("list --cache-dir d", {"PIP_NO_CACHE_DIR": "1"}, {}, "d"),
        ("list", {"PIP_CACHE_DIR": "c"}, {"user": "[global]\nno-cache-dir = yes\n"}, None),
    ],
)
def test_the_cache(
    line: str, environ: dict[str, str], files: dict[str, str], folder: str | None
) -> None:
    found = configured(line, environ, **files).cache_directory()
    assert (found and found.value) == folder


@pytest.mark.parametrize(
    ("line", "environ", "urls"),
    [
        ("install x", {}, [table.INDEX_URL.default]),
        ("install x -i a --extra-index-url b", {}, ["a", "b"]),
        ("install x --pypi-url a", {"PIP_EXTRA_INDEX_URL": "b c"}, ["a", "b", "c"]),
        ("install x -i a", {"PIP_NO_INDEX": "1"}, []),
        ("install x --no-index -i a --extra-index-url b", {}, []),
        ("install x", {"PIP_NO_INDEX": "0", "PIP_PYPI_URL": "a"}, ["a"]),
    ],
)
def test_the_indexes(line: str, environ: dict[str, str], urls: list[str]) -> None:
    assert [one.value for one in configured(line, environ).index_urls()] == urls


@pytest.mark.parametrize(
    ("line", "environ", "code", "named"),
    [
        ("install x --user --target d", {}, 2, ["--user", "--target"]),
        ("install x --target d", {"PIP_USER": "1"}, 2, ["--target", "PIP_USER"]),
        ("install x", {"PIP_USER": "1", "PIP_TARGET": "d"}, 3, ["PIP_USER", "PIP_TARGET"]),
        ("install x --user --prefix d", {}, 2, ["--user", "--prefix"]),
        ("install x --target d --prefix d", {}, 2, ["--target", "--prefix"]),
        ("install x --pre --only-final y", {}, 2, ["--pre", "--only-final"]),
        ("list --outdated --uptodate", {}, 2, ["--outdated", "--uptodate"]),
        ("list --outdated --format freeze", {}, 2, ["--outdated", "--format"]),
        ("list --path d --user", {}, 2, ["--path", "--user"]),
        ("freeze --path d -l", {}, 2, ["--path", "-l"]),
        ("config --user --site list", {}, 2, ["--user", "--site"]),
        ("install", {}, 2, ["install"]),
        ("uninstall -y", {}, 2, ["uninstall"]),
    ],
)
def test_what_does_not_go_together(
    line: str, environ: dict[str, str], code: int, named: list[str]
) -> None:
    with pytest.raises((UsageError, SettingError)) as caught:
        configured(line, environ)
    assert caught.value.exit_code == code
    assert [name for name in named if name not in caught.value.message] == []


@pytest.mark.parametrize(
    ("line", "environ"),
    [
        ("install -r file", {}),
        ("install", {"PIP_REQUIREMENT": "file"}),
        ("install x --user --root d", {}),
        ("install x --no-user --target d", {"PIP_USER": "1"}),
        ("list --format freeze --uptodate", {}),
    ],
)
def test_what_does(line: str, environ: dict[str, str]) -> None:
    configured(line, environ)


# --------------------------------------------------------------------------------------------
# Every setting that was considered


def test_considered_settings_strongest_first() -> None:
    settings = configured(
        "--cert a list --cert b",
        {"PIP_CERT": "v"},
        machine="[list]\ncert = m\n",
        user="[global]\ncert = u\n",
        site="[global]\ncert =\n",
    )
    assert [
        (one.setting.value, at(one.setting.origin)[2], one.in_force)
        for one in settings.considered(table.CERT)
    ] == [
        ("b", None, True),
        ("a", None, False),
        ("v", None, False),
        ("m", FileKind.GLOBAL.value, False),
        ("", FileKind.SITE.value, False),
        ("u", FileKind.USER.value, False),
    ]


def test_considered_settings_of_a_list() -> None:
    settings = configured(
        "list --extra-cert a", {"PIP_EXTRA_CERT": "b c"}, user="[global]\nextra-cert = d\n"
    )
    assert [(one.setting.value, one.in_force) for one in settings.considered(table.EXTRA_CERT)] == [
        ("a", True),
        ("b c", True),
        ("d", False),
    ]
    assert settings.considered(table.CERT) == ()
    assert settings.is_set(table.EXTRA_CERT)
    assert not settings.is_set(table.CERT)
