from __future__ import annotations

import codecs

import pytest

from kedge.settings.files import (
    Platform,
    cache_folder,
    decode,
    global_places,
    site_place,
    user_places,
)
from support.configured import LINUX

MAC = Platform(system="darwin", home="/Users/ada")
BREW = Platform(
    system="darwin", home="/Users/ada", prefix="/opt/homebrew/opt/python@3.12/Frameworks/x"
)
WINDOWS = Platform(system="win32", home="C:\\Users\\ada")
SUPPORT = "/Users/ada/Library/Application Support/pip"


@pytest.mark.parametrize(
    ("platform", "environ", "paths"),
    [
        pytest.param(LINUX, {}, ["/etc/xdg/pip/pip.conf", "/etc/pip.conf"], id="linux"),
        pytest.param(
            LINUX,
            {"XDG_CONFIG_DIRS": "/a: :/b"},
            ["/a/pip/pip.conf", "/b/pip/pip.conf", "/etc/pip.conf"],
            id="xdg",
        ),
        pytest.param(
            LINUX,
            {"XDG_CONFIG_DIRS": " "},
            ["/etc/xdg/pip/pip.conf", "/etc/pip.conf"],
            id="blank xdg",
        ),
        pytest.param(MAC, {}, ["/Library/Application Support/pip/pip.conf"], id="mac"),
        pytest.param(
            BREW,
            {},
            [
                "/opt/homebrew/share/pip/pip.conf",
                "/Library/Application Support/pip/pip.conf",
            ],
            id="homebrew",
        ),
        pytest.param(MAC, {"XDG_DATA_DIRS": "/d"}, ["/d/pip/pip.conf"], id="mac, xdg"),
        pytest.param(WINDOWS, {}, ["C:\\ProgramData\\pip\\pip.ini"], id="windows"),
        pytest.param(WINDOWS, {"PROGRAMDATA": "D:\\P"}, ["D:\\P\\pip\\pip.ini"], id="windows, d"),
    ],
)
def test_the_machines_files(platform: Platform, environ: dict[str, str], paths: list[str]) -> None:
    assert [place.path for place in global_places(platform, environ)] == paths


@pytest.mark.parametrize(
    ("platform", "environ", "folders", "paths"),
    [
        pytest.param(
            LINUX,
            {},
            [],
            ["/home/ada/.pip/pip.conf", "/home/ada/.config/pip/pip.conf"],
            id="linux",
        ),
        pytest.param(
            LINUX,
            {"XDG_CONFIG_HOME": "/x"},
            [],
            ["/home/ada/.pip/pip.conf", "/x/pip/pip.conf"],
            id="xdg",
        ),
        pytest.param(
            MAC,
            {},
            [],
            ["/Users/ada/.pip/pip.conf", "/Users/ada/.config/pip/pip.conf"],
            id="mac",
        ),
        pytest.param(
            MAC,
            {},
            [SUPPORT],
            ["/Users/ada/.pip/pip.conf", f"{SUPPORT}/pip.conf"],
            id="mac, with the folder",
        ),
        pytest.param(
            MAC,
            {"XDG_DATA_HOME": "/d"},
            ["/d/pip"],
            ["/Users/ada/.pip/pip.conf", "/d/pip/pip.conf"],
            id="mac, xdg",
        ),
        pytest.param(
            WINDOWS,
            {"APPDATA": "D:\\R"},
            [],
            ["C:\\Users\\ada\\pip\\pip.ini", "D:\\R\\pip\\pip.ini"],
            id="windows",
        ),
        pytest.param(
            WINDOWS,
            {},
            [],
            [
                "C:\\Users\\ada\\pip\\pip.ini",
                "C:\\Users\\ada\\AppData\\Roaming\\pip\\pip.ini",
            ],
            id="windows without APPDATA",
        ),
    ],
)
def test_the_users_files(
    platform: Platform, environ: dict[str, str], folders: list[str], paths: list[str]
) -> None:
    places = user_places(platform, environ, folders.__contains__)
    assert [place.path for place in places] == paths


def test_the_environments_file() -> None:
    assert site_place(LINUX, "/venv").path == "/venv/pip.conf"
    assert site_place(WINDOWS, "C:\\venv").path == "C:\\venv\\pip.ini"


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        (LINUX, {}, "/home/ada/.cache/kedge"),
        (LINUX, {"XDG_CACHE_HOME": "/c"}, "/c/kedge"),
        (MAC, {}, "/Users/ada/Library/Caches/kedge"),
        (WINDOWS, {}, "C:\\Users\\ada\\AppData\\Local\\kedge\\Cache"),
        (WINDOWS, {"LOCALAPPDATA": "D:\\L"}, "D:\\L\\kedge\\Cache"),
    ],
)
def test_the_cache_folder(platform: Platform, environ: dict[str, str], folder: str) -> None:
    assert cache_folder(platform, environ) == folder


@pytest.mark.parametrize(
    ("home", "text", "path"),
    [
        ("/home/ada", "~", "/home/ada"),
        ("/home/ada/", "~/x", "/home/ada/x"),
        ("/", "~", "/"),
        ("/", "~/x", "/x"),
    ],
)
def test_expand(home: str, text: str, path: str) -> None:
    assert Platform(system="linux", home=home).expand(text) == path


def test_expand_on_windows() -> None:
    assert WINDOWS.expand("~\\ca.pem") == "C:\\Users\\ada\\ca.pem"
    assert WINDOWS.expand("~/ca.pem") == "C:\\Users\\ada/ca.pem"
    assert LINUX.expand("~\\ca.pem") == "~\\ca.pem"


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        pytest.param("é".encode(), "utf-8", id="utf-8"),
        pytest.param(codecs.BOM_UTF8 + "é".encode(), "utf-8-sig", id="utf-8 with a mark"),
        pytest.param(codecs.BOM_UTF16_LE + "é".encode("utf-16-le"), "utf-16", id="powershell"),
        pytest.param(codecs.BOM_UTF16_BE + "é".encode("utf-16-be"), "utf-16", id="big-endian"),
        pytest.param(b"\xe9", "cp1252", id="the locale's"),
    ],
)
def test_decode(data: bytes, codec: str) -> None:
    text, found = decode(data, "cp1252")
    assert (text, found) == ("é", codec)
    assert decode(text.encode(found), "cp1252") == (text, found)


def test_what_is_no_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode(b"[global]\n\xff", "utf-8")
