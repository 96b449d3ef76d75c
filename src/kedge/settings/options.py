"""The one table of options: flags, variables, configuration keys and help come from here.

A row is a typed constant, and the key to its value in ``Settings``. Every option of pip's
``install``, ``download``, ``uninstall``, ``list``, ``freeze``, ``config`` and ``cache`` (26.3) has
one, obeyed or with a stated treatment; so have kedge's own. Data only.

The variable of an option is ``PIP_`` and any of its long flags in capitals, with ``_`` for ``-``;
its key in a file is any of its long flags without the dashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kedge.model import PYPI_SIMPLE
from kedge.settings import readers
from kedge.settings.commands import (
    CACHE,
    CONFIG,
    DOCTOR,
    DOWNLOAD,
    FREEZE,
    INSTALL,
    LIST,
    TRUST,
    UNINSTALL,
)
from kedge.settings.features import KNOWN_DEPRECATED, KNOWN_FEATURES
from kedge.settings.option import Kind, Option, Treatment

if TYPE_CHECKING:
    from datetime import datetime, timedelta

_INSTALL = frozenset((INSTALL,))
_DOWNLOAD = frozenset((DOWNLOAD,))
_RESOLVING = frozenset((INSTALL, DOWNLOAD))
_SELECTING = frozenset((INSTALL, DOWNLOAD, LIST))
_ASKING = _SELECTING | {DOCTOR}
_CHANGING = frozenset((INSTALL, UNINSTALL))
_LISTING = frozenset((LIST, FREEZE))
_LIST = frozenset((LIST,))
_FREEZE = frozenset((FREEZE,))
_CONFIG = frozenset((CONFIG,))
_DOCTOR = frozenset((DOCTOR,))

REQUIREMENTS = "What to install"
EXAMINED = "What is examined, and how it is told"
PLACE = "Where to"
SELECTION = "Which versions and files"
INDEXES = "Package indexes"
BUILDING = "Building"
CHANGES = "How it is done"
LISTED = "What is listed"
FILES = "Which file"
TRUSTED = "Trust"
NETWORK = "Network"
GENERAL = "General"

#: The order of the groups in the help.
GROUPS = (
    REQUIREMENTS, EXAMINED, PLACE, SELECTION, CHANGES, LISTED, FILES, INDEXES, BUILDING, TRUSTED,
    NETWORK, GENERAL,
)  # fmt: skip


# --------------------------------------------------------------------------------------------
# What to install

REQUIREMENT: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("-r", "--requirement"),
    metavar="FILE",
    default=(),
    path=True,
    help="Take the requirements of this file or URL: a requirements file, or a lock file "
    "(pylock.toml, with extras as pylock.toml[extra]) (repeatable).",
    group=REQUIREMENTS,
    commands=frozenset((INSTALL, DOWNLOAD, UNINSTALL)),
)
CONSTRAINT: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("-c", "--constraint"),
    metavar="FILE",
    default=(),
    path=True,
    help="Keep to the versions that this file or URL allows, without asking for anything in it "
    "(repeatable).",
    group=REQUIREMENTS,
    commands=_RESOLVING,
)
NO_DEPS: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--no-deps", "--no-dependencies"),
    default=False,
    help="Leave out dependencies.",
    group=REQUIREMENTS,
    commands=_RESOLVING,
)
EDITABLE: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("-e", "--editable"),
    metavar="PATH",
    default=(),
    path=True,
    help="Install a local project in editable mode (repeatable).",
    group=REQUIREMENTS,
    commands=_INSTALL,
)
GROUP: Option[tuple[tuple[str, str], ...]] = Option(
    kind=Kind.CUMULATIVE,
    flags=("--group",),
    metavar="[PATH:]GROUP",
    default=(),
    read=readers.group,
    help="Take the requirements of a dependency group: of ./pyproject.toml, or of the "
    "pyproject.toml or pylock.toml that is named (repeatable).",
    group=REQUIREMENTS,
    commands=_RESOLVING,
)
REQUIREMENTS_FROM_SCRIPT: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--requirements-from-script",),
    metavar="FILE",
    default=(),
    path=True,
    help="Take the requirements of a script's inline metadata (PEP 723).",
    group=REQUIREMENTS,
    commands=_RESOLVING,
)
ONLY_DEPS: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--only-deps", "--only-dependencies"),
    default=False,
    help="Install the dependencies of what was asked for, without it.",
    group=REQUIREMENTS,
    commands=_RESOLVING,
)

# --------------------------------------------------------------------------------------------
# Where to

TARGET: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("-t", "--target"),
    metavar="DIR",
    default=None,
    path=True,
    help="Install into this folder. What is there already is replaced with --upgrade only.",
    group=PLACE,
    commands=_INSTALL,
)
PREFIX: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--prefix",),
    metavar="DIR",
    default=None,
    path=True,
    help="Install under this prefix, with its own lib and bin folders.",
    group=PLACE,
    commands=_INSTALL,
)
ROOT: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--root",),
    metavar="DIR",
    default=None,
    path=True,
    help="Install everything relative to this folder, as if it were the root.",
    group=PLACE,
    commands=_INSTALL,
)
USER: Option[bool | None] = Option(
    kind=Kind.FLAG,
    flags=("--user",),
    off_flags=("--no-user",),
    default=None,
    help="Install into the user's own folder of this Python.",
    group=PLACE,
    commands=_INSTALL,
    default_help="decided by the environment",
)
DEST: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("-d", "--dest", "--destination-dir", "--destination-directory"),
    metavar="DIR",
    default=".",
    path=True,
    help="Download into this folder.",
    group=PLACE,
    commands=_DOWNLOAD,
)
BREAK_SYSTEM_PACKAGES: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--break-system-packages",),
    default=False,
    help="Change a Python that another program manages.",
    group=PLACE,
    commands=_CHANGING,
)

# --------------------------------------------------------------------------------------------
# Which versions and files

UPGRADE: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("-U", "--upgrade"),
    default=False,
    help="Upgrade everything that was asked for to the newest version.",
    group=SELECTION,
    commands=_INSTALL,
)
UPGRADE_STRATEGY: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("--upgrade-strategy",),
    metavar="WHICH",
    choices=("only-if-needed", "eager"),
    default="only-if-needed",
    help="With --upgrade: upgrade dependencies only where they no longer fit, or always.",
    group=SELECTION,
    commands=_INSTALL,
)
PRE: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--pre",),
    default=False,
    help="Consider pre-releases and development versions too.",
    group=SELECTION,
    commands=_SELECTING,
)
ALL_RELEASES: Option[tuple[str, ...]] = Option(
    kind=Kind.CUMULATIVE,
    flags=("--all-releases",),
    metavar="NAMES",
    default=(),
    read=readers.package_names,
    help="Consider pre-releases of these projects: names with commas between them, :all: or "
    ":none: (repeatable).",
    group=SELECTION,
    commands=_SELECTING,
)
ONLY_FINAL: Option[tuple[str, ...]] = Option(
    kind=Kind.CUMULATIVE,
    flags=("--only-final",),
    metavar="NAMES",
    default=(),
    read=readers.package_names,
    help="Consider no pre-releases of these projects: names with commas between them, :all: or "
    ":none: (repeatable).",
    group=SELECTION,
    commands=_SELECTING,
)
NO_BINARY: Option[tuple[str, ...]] = Option(
    kind=Kind.CUMULATIVE,
    flags=("--no-binary",),
    metavar="NAMES",
    default=(),
    read=readers.package_names,
    help="Use no wheels of these projects: names with commas between them, :all: or :none: "
    "(repeatable).",
    group=SELECTION,
    commands=_SELECTING,
)
ONLY_BINARY: Option[tuple[str, ...]] = Option(
    kind=Kind.CUMULATIVE,
    flags=("--only-binary",),
    metavar="NAMES",
    default=(),
    read=readers.package_names,
    help="Use only wheels of these projects: names with commas between them, :all: or :none: "
    "(repeatable).",
    group=SELECTION,
    commands=_SELECTING,
)
PREFER_BINARY: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--prefer-binary",),
    default=False,
    help="Prefer an older wheel over a newer source distribution.",
    group=SELECTION,
    commands=_SELECTING,
)
REQUIRE_HASHES: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--require-hashes",),
    default=False,
    help="Refuse whatever has no --hash in a requirements file.",
    group=SELECTION,
    commands=_RESOLVING,
)
IGNORE_REQUIRES_PYTHON: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--ignore-requires-python",),
    default=False,
    help="Do not look at the Python versions that a project supports.",
    group=SELECTION,
    commands=_RESOLVING,
)
FORCE_REINSTALL: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--force-reinstall",),
    default=False,
    help="Install everything again, up to date or not.",
    group=SELECTION,
    commands=_INSTALL,
)
IGNORE_INSTALLED: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("-I", "--ignore-installed"),
    default=False,
    help="Act as if nothing were installed, and install over it.",
    group=SELECTION,
    commands=_INSTALL,
)
NO_REQUIRE_HASHES: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--no-require-hashes",),
    default=False,
    help="Do not require every hash because one requirement has one.",
    group=SELECTION,
    commands=_RESOLVING,
    treatment=Treatment.REFUSED,
    reason="kedge requires every hash as soon as one requirement has one",
)
UPLOADED_PRIOR_TO: Option[datetime | timedelta | None] = Option(
    kind=Kind.VALUE,
    flags=("--uploaded-prior-to",),
    metavar="TIME",
    default=None,
    read=readers.moment,
    help="Consider only what was uploaded before this time: 2026-01-31, 2026-01-31T12:00:00Z, or "
    "P7D for seven days ago.",
    group=SELECTION,
    commands=_SELECTING,
)
PLATFORM: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--platform",),
    metavar="PLATFORM",
    default=(),
    help="Choose wheels for this platform (repeatable).",
    group=SELECTION,
    commands=_RESOLVING,
)
PYTHON_VERSION: Option[tuple[int, ...]] = Option(
    kind=Kind.VALUE,
    flags=("--python-version",),
    metavar="VERSION",
    default=(),
    read=readers.python_version,
    help="Choose files for this version of Python: 3, 3.12, 312 or 3.12.1.",
    group=SELECTION,
    commands=_RESOLVING,
)
IMPLEMENTATION: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--implementation",),
    metavar="NAME",
    default=None,
    help="Choose wheels for this implementation of Python: cp, pp, or py for any.",
    group=SELECTION,
    commands=_RESOLVING,
)
ABI: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--abi",),
    metavar="ABI",
    default=(),
    help="Choose wheels for this ABI (repeatable).",
    group=SELECTION,
    commands=_RESOLVING,
)

# --------------------------------------------------------------------------------------------
# How it is done

DRY_RUN: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--dry-run",),
    default=False,
    help="Change nothing; say what would be installed.",
    group=CHANGES,
    commands=_INSTALL,
)
REPORT: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--report",),
    metavar="FILE",
    default=None,
    path=True,
    help="Write what was chosen as JSON into this file, or to stdout with '-'.",
    group=CHANGES,
    commands=_INSTALL,
)
COMPILE: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--compile",),
    off_flags=("--no-compile",),
    default=False,
    help="Compile to bytecode while installing, rather than when a module is first imported; "
    "bytecode in the cache is installed without it, and left out with --no-compile.",
    group=CHANGES,
    commands=_INSTALL,
)
LINK_MODE: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("--link-mode",),
    metavar="MODE",
    choices=("auto", "reflink", "hardlink", "copy"),
    default="auto",
    help="How files come from the cache into the environment.",
    group=CHANGES,
    commands=_INSTALL,
    own=True,
)
YES: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("-y", "--yes"),
    default=False,
    help="Uninstall without asking.",
    group=CHANGES,
    commands=frozenset((UNINSTALL,)),
)
WARN_SCRIPT_LOCATION: Option[bool] = Option(
    kind=Kind.FLAG,
    off_flags=("--no-warn-script-location",),
    default=True,
    help="Do not warn when scripts go to a folder that is not on PATH.",
    group=CHANGES,
    commands=_INSTALL,
)
WARN_CONFLICTS: Option[bool] = Option(
    kind=Kind.FLAG,
    off_flags=("--no-warn-conflicts",),
    default=True,
    help="Do not warn about dependencies that are broken afterwards.",
    group=CHANGES,
    commands=_INSTALL,
)
ROOT_USER_ACTION: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("--root-user-action",),
    metavar="ACTION",
    choices=("warn", "ignore"),
    default="warn",
    help="What to do when root changes an environment that is not a virtual one.",
    group=CHANGES,
    commands=_CHANGING,
)
PROGRESS_BAR: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("--progress-bar",),
    metavar="MODE",
    choices=("auto", "on", "off", "raw"),
    default="auto",
    help="How progress is shown.",
    group=CHANGES,
    commands=_RESOLVING,
)

# --------------------------------------------------------------------------------------------
# What is listed

OUTDATED: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("-o", "--outdated"),
    default=False,
    help="Only what has a newer version on the index.",
    group=LISTED,
    commands=_LIST,
)
UPTODATE: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("-u", "--uptodate"),
    default=False,
    help="Only what has no newer version on the index.",
    group=LISTED,
    commands=_LIST,
)
ONLY_EDITABLE: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("-e", "--editable"),
    default=False,
    help="Only editable projects.",
    group=LISTED,
    commands=_LIST,
)
LOCAL: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("-l", "--local"),
    default=False,
    help="Not what a virtual environment sees of the Python below it.",
    group=LISTED,
    commands=_LISTING,
)
ONLY_USER: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--user",),
    default=False,
    help="Only what is in the user's own folder.",
    group=LISTED,
    commands=_LISTING,
)
PATH: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--path",),
    metavar="DIR",
    default=(),
    path=True,
    help="Only what is in this folder (repeatable).",
    group=LISTED,
    commands=_LISTING,
)
FORMAT: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("--format",),
    metavar="FORMAT",
    choices=("columns", "freeze", "json"),
    default="columns",
    help="The format of the list.",
    group=LISTED,
    commands=_LIST,
)
NOT_REQUIRED: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--not-required",),
    default=False,
    help="Only what nothing else that is installed depends on.",
    group=LISTED,
    commands=_LIST,
)
INCLUDE_EDITABLE: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--include-editable",),
    off_flags=("--exclude-editable",),
    default=True,
    help="With editable projects, or without.",
    group=LISTED,
    commands=_LIST,
)
EXCLUDE_EDITABLE: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--exclude-editable",),
    default=False,
    help="Without editable projects.",
    group=LISTED,
    commands=_FREEZE,
)
EXCLUDE: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--exclude",),
    metavar="PACKAGE",
    default=(),
    read=readers.package_name,
    help="Leave out this package (repeatable).",
    group=LISTED,
    commands=_LISTING,
)
ALL: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--all",),
    default=False,
    help="With the installers themselves: pip, setuptools, wheel, distribute.",
    group=LISTED,
    commands=_FREEZE,
)
FREEZE_REQUIREMENT: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("-r", "--requirement"),
    metavar="FILE",
    default=(),
    path=True,
    help="Keep the order and the comments of this requirements file.",
    group=LISTED,
    commands=_FREEZE,
    treatment=Treatment.REFUSED,
    reason="kedge freeze does not follow the order of a requirements file yet",
)
CACHE_FORMAT: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("--format",),
    metavar="FORMAT",
    choices=("human", "abspath"),
    default="human",
    help="With 'list': names and sizes, or the path of each wheel.",
    group=LISTED,
    commands=frozenset((CACHE,)),
)
OLDER_THAN: Option[float | None] = Option(
    kind=Kind.VALUE,
    flags=("--older-than",),
    metavar="AGE",
    default=None,
    read=readers.age,
    help="With 'purge': only what was not used for so long, as 12h, 30d or 8w.",
    group=CHANGES,
    commands=frozenset((CACHE,)),
    own=True,
)
KEEP: Option[int | None] = Option(
    kind=Kind.VALUE,
    flags=("--keep",),
    metavar="SIZE",
    default=None,
    read=readers.size,
    help="With 'purge': only as much as is needed to keep no more than that, as 500MB or 2GB; "
    "what was not used for longest goes first.",
    group=CHANGES,
    commands=frozenset((CACHE,)),
    own=True,
)

SHELL: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("--shell",),
    metavar="SHELL",
    choices=("auto", "sh", "fish", "powershell", "cmd"),
    default="auto",
    help="With 'env': the shell to write for; 'auto' is the one in use.",
    group=LISTED,
    commands=frozenset((TRUST,)),
    own=True,
)

# --------------------------------------------------------------------------------------------
# What is examined

LINT: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--lint",),
    default=False,
    help="Read certificate bundles instead, and contact nobody: those named, or all in force.",
    group=EXAMINED,
    commands=_DOCTOR,
    own=True,
    command_line_only=True,
)
JSON: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--json",),
    default=False,
    help="Print the report as JSON.",
    group=EXAMINED,
    commands=_DOCTOR,
    own=True,
    command_line_only=True,
)
HTML: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--html",),
    metavar="FILE",
    default=None,
    path=True,
    help="Write the report as one web page, too: to send to whoever can help.",
    group=EXAMINED,
    commands=_DOCTOR,
    own=True,
    command_line_only=True,
)

# --------------------------------------------------------------------------------------------
# Which configuration file

CONFIG_GLOBAL: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--global",),
    default=False,
    help="The machine's configuration file only.",
    group=FILES,
    commands=_CONFIG,
)
CONFIG_USER: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--user",),
    default=False,
    help="The user's configuration file only.",
    group=FILES,
    commands=_CONFIG,
)
CONFIG_SITE: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--site",),
    default=False,
    help="The environment's configuration file only.",
    group=FILES,
    commands=_CONFIG,
)
EDITOR: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--editor",),
    metavar="PROGRAM",
    default=None,
    help="The editor to open the file in.",
    group=FILES,
    commands=_CONFIG,
    treatment=Treatment.IDLE,
    reason="kedge config opens no editor",
)

# --------------------------------------------------------------------------------------------
# Package indexes

INDEX_URL: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("-i", "--index-url", "--pypi-url"),
    metavar="URL",
    default=PYPI_SIMPLE,
    help="The package index: a simple API (PEP 503 or 691), or a folder laid out like one.",
    group=INDEXES,
    commands=_ASKING,
)
EXTRA_INDEX_URL: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--extra-index-url",),
    metavar="URL",
    default=(),
    help="One more index, equal to the first (repeatable).",
    group=INDEXES,
    commands=_ASKING,
)
NO_INDEX: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--no-index",),
    default=False,
    help="Use no index, only --find-links.",
    group=INDEXES,
    commands=_ASKING,
)
FIND_LINKS: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("-f", "--find-links"),
    metavar="PLACE",
    default=(),
    path=True,
    help="A folder of files, or a page of links to files (repeatable).",
    group=INDEXES,
    commands=_ASKING,
)
REFRESH_PACKAGE: Option[tuple[str, ...]] = Option(
    kind=Kind.CUMULATIVE,
    flags=("--refresh-package",),
    metavar="NAMES",
    default=(),
    read=readers.package_names,
    help="Ask the index again about these projects, whatever it said before: names with commas "
    "between them, or :all: (repeatable).",
    group=INDEXES,
    commands=_SELECTING,
)

# --------------------------------------------------------------------------------------------
# Building

BUILD_CONSTRAINT: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--build-constraint",),
    metavar="FILE",
    default=(),
    path=True,
    help="Constraints for the requirements of builds.",
    group=BUILDING,
    commands=_RESOLVING,
)
BUILD_ISOLATION: Option[bool] = Option(
    kind=Kind.FLAG,
    off_flags=("--no-build-isolation",),
    default=True,
    help="Build in the environment itself.",
    group=BUILDING,
    commands=_RESOLVING,
)
CHECK_BUILD_DEPENDENCIES: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--check-build-dependencies",),
    default=False,
    help="Check the requirements of builds.",
    group=BUILDING,
    commands=_RESOLVING,
)
USE_PEP517: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--use-pep517",),
    default=True,
    help="Build through the standard interface.",
    group=BUILDING,
    commands=_RESOLVING,
    treatment=Treatment.IDLE,
    reason="there is no other way to build",
)
CONFIG_SETTINGS: Option[tuple[tuple[str, str], ...]] = Option(
    kind=Kind.CUMULATIVE,
    flags=("-C", "--config-settings"),
    metavar="KEY=VALUE",
    default=(),
    read=readers.key_and_value,
    help="A setting for the build backend (repeatable).",
    group=BUILDING,
    commands=_INSTALL,
)
SRC: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--src", "--source", "--source-dir", "--source-directory"),
    metavar="DIR",
    default=None,
    path=True,
    help="Where editable projects are checked out: src in the virtual environment, or here.",
    group=BUILDING,
    commands=_RESOLVING,
)
NO_CLEAN: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--no-clean",),
    default=False,
    help="Leave build folders behind.",
    group=BUILDING,
    commands=_RESOLVING,
)

# --------------------------------------------------------------------------------------------
# Trust

CERT: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--cert",),
    metavar="PATH",
    default=None,
    path=True,
    help="Trust the certificates of this file or folder, instead of certifi's.",
    group=TRUSTED,
)
EXTRA_CERT: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--extra-cert",),
    metavar="PATH",
    default=(),
    path=True,
    help="Trust the certificates of this file or folder as well (repeatable).",
    group=TRUSTED,
    own=True,
)
USE_FEATURE: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--use-feature",),
    metavar="FEATURE",
    choices=KNOWN_FEATURES,
    default=(),
    help="'truststore': trust the system's certificate store, instead of certifi's.",
    group=TRUSTED,
)
USE_DEPRECATED: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--use-deprecated",),
    metavar="FEATURE",
    choices=KNOWN_DEPRECATED,
    default=(),
    help="'legacy-certs': do not use the system's certificate store.",
    group=TRUSTED,
)
STRICT_CERTS: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--strict-certs",),
    default=False,
    help="Refuse certificates that break the rules of RFC 5280.",
    group=TRUSTED,
    own=True,
)
CLIENT_CERT: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--client-cert",),
    metavar="PATH",
    default=None,
    path=True,
    help="Present this certificate (PEM with its private key, or PKCS#12) to the configured "
    "indexes.",
    group=TRUSTED,
)
CLIENT_KEY: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--client-key",),
    metavar="PATH",
    default=None,
    path=True,
    help="The private key of --client-cert, where that file does not hold it.",
    group=TRUSTED,
    own=True,
)
TRUSTED_HOST: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--trusted-host",),
    metavar="HOST[:PORT]",
    default=(),
    read=readers.host,
    help="Do not verify this host at all (repeatable). Dangerous: whoever answers is believed.",
    group=TRUSTED,
)

# --------------------------------------------------------------------------------------------
# Network

PROXY: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--proxy",),
    metavar="URL",
    default=None,
    may_be_empty=True,
    help="Go through this proxy: scheme://[user:password@]host:port; '' for none.",
    group=NETWORK,
)
NO_PROXY_ENV: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--no-proxy-env",),
    default=False,
    help="Do not take proxies from the environment.",
    group=NETWORK,
)
TIMEOUT: Option[float] = Option(
    kind=Kind.VALUE,
    flags=("--timeout", "--default-timeout"),
    metavar="SECONDS",
    default=15.0,
    read=readers.seconds,
    help="How long to wait for a connection, and for each answer.",
    group=NETWORK,
)
RETRIES: Option[int] = Option(
    kind=Kind.VALUE,
    flags=("--retries",),
    metavar="NUMBER",
    default=5,
    read=readers.natural,
    help="How often to try again what may pass the next time.",
    group=NETWORK,
)
RESUME_RETRIES: Option[int] = Option(
    kind=Kind.VALUE,
    flags=("--resume-retries",),
    metavar="NUMBER",
    default=5,
    read=readers.natural,
    help="How often to resume a broken download.",
    group=NETWORK,
    treatment=Treatment.IDLE,
    reason="resuming a download is one of the --retries",
)
KEYRING_PROVIDER: Option[str] = Option(
    kind=Kind.VALUE,
    flags=("--keyring-provider",),
    metavar="WHICH",
    choices=("auto", "disabled", "import", "subprocess"),
    default="auto",
    help="How the keyring is asked for credentials: the package keyring, its program, or not at "
    "all.",
    group=NETWORK,
)
CACHE_DIR: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--cache-dir",),
    metavar="DIR",
    default=None,
    path=True,
    help="Keep the cache in this folder.",
    group=NETWORK,
    default_help="the user's cache folder",
)
NO_CACHE_DIR: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--no-cache-dir",),
    default=False,
    help="Use no cache.",
    group=NETWORK,
)

# --------------------------------------------------------------------------------------------
# General

HELP: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("-h", "--help"),
    default=False,
    help="Show this help.",
    group=GENERAL,
    command_line_only=True,
)
VERSION: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("-V", "--version"),
    default=False,
    help="Show the version.",
    group=GENERAL,
    command_line_only=True,
)
PYTHON: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--python",),
    metavar="PATH",
    default=None,
    path=True,
    help="Work on the environment of this Python: its program, or the environment's folder.",
    group=GENERAL,
    default_help="the active environment",
)
ISOLATED: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--isolated",),
    default=False,
    help="Do not look at PIP_* variables and the user's configuration file.",
    group=GENERAL,
    command_line_only=True,
)
REQUIRE_VIRTUALENV: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--require-virtualenv", "--require-venv"),
    default=False,
    help="Refuse to work outside a virtual environment.",
    group=GENERAL,
)
NO_INPUT: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--no-input",),
    default=False,
    help="Ask nothing: no password, no passphrase, no agreement.",
    group=GENERAL,
)
VERBOSE: Option[int] = Option(
    kind=Kind.COUNT,
    flags=("-v", "--verbose"),
    default=0,
    help="Say more (up to three times).",
    group=GENERAL,
)
QUIET: Option[int] = Option(
    kind=Kind.COUNT,
    flags=("-q", "--quiet"),
    default=0,
    help="Say less (up to three times).",
    group=GENERAL,
)
LOG: Option[str | None] = Option(
    kind=Kind.VALUE,
    flags=("--log", "--log-file", "--local-log"),
    metavar="FILE",
    default=None,
    path=True,
    help="Append everything, as with -vvv, to this file.",
    group=GENERAL,
)
NO_COLOR: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--no-color",),
    default=False,
    help="Use no colour.",
    group=GENERAL,
)
DEBUG: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--debug",),
    default=False,
    help="Show the traceback of an unexpected error.",
    group=GENERAL,
)
EXISTS_ACTION: Option[tuple[str, ...]] = Option(
    kind=Kind.LIST,
    flags=("--exists-action",),
    metavar="ACTION",
    choices=("s", "i", "w", "b", "a"),
    default=(),
    help="What to do when something else is where a checkout goes: (s)witch, (i)gnore, (w)ipe, "
    "(b)ackup, (a)bort.",
    group=GENERAL,
)
DISABLE_PIP_VERSION_CHECK: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--disable-pip-version-check",),
    default=False,
    help="Do not look for a newer pip.",
    group=GENERAL,
    treatment=Treatment.IDLE,
    reason="kedge never looks for a newer version of itself",
)
NO_PYTHON_VERSION_WARNING: Option[bool] = Option(
    kind=Kind.FLAG,
    flags=("--no-python-version-warning",),
    default=False,
    help="Do not warn about Python 2.",
    group=GENERAL,
    treatment=Treatment.IDLE,
    reason="there is no such warning",
)

#: Every option, in the order of this file.
OPTIONS: tuple[Option[Any], ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Option)
)


def options_of(command: str | None) -> tuple[Option[Any], ...]:
    """The options that a command takes; without one, the general options."""
    return tuple(option for option in OPTIONS if option.taken_by(command))
