from __future__ import annotations

from pathlib import Path

import pytest

from index.lookups import sourced, write_page
from kedge.index import IndexSources, Place, PlaceKind, find_places
from kedge.model import Origin, OriginKind, Sourced


def places(folder: Path, *, find_links: str = "", index: str = "") -> list[Place]:
    found = find_places(
        IndexSources(
            index_urls=sourced(index) if index else (),
            find_links=sourced(find_links) if find_links else (),
            directory=folder,
            home=folder / "home",
        )
    )
    assert not found.warnings
    return list(found.places)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``wheels/`` with a file, ``links.html``, ``home/more/``, ``simple/``."""
    for name in ("wheels", "home/more", "simple/spam"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "wheels" / "spam-1-py3-none-any.whl").touch()
    write_page(tmp_path).rename(tmp_path / "links.html")
    return tmp_path


@pytest.mark.parametrize(
    ("value", "kind", "path"),
    [
        pytest.param("wheels", PlaceKind.FOLDER, "wheels", id="folder"),
        pytest.param("./wheels/", PlaceKind.FOLDER, "wheels", id="folder, dotted"),
        pytest.param("links.html", PlaceKind.LOCAL_PAGE, "links.html", id="page"),
        pytest.param("~/more", PlaceKind.FOLDER, "home/more", id="home"),
        pytest.param(
            "wheels/spam-1-py3-none-any.whl",
            PlaceKind.FILE,
            "wheels/spam-1-py3-none-any.whl",
            id="file",
        ),
    ],
)
def test_find_links_on_this_machine(folder: Path, value: str, kind: PlaceKind, path: str) -> None:
    (place,) = places(folder, find_links=value)
    assert (place.kind, place.path, place.url) == (kind, folder / path, (folder / path).as_uri())


@pytest.mark.parametrize(
    ("value", "kind", "url"),
    [
        ("https://f.example/links/", PlaceKind.REMOTE_PAGE, "https://f.example/links/"),
        ("https://f.example/links#x", PlaceKind.REMOTE_PAGE, "https://f.example/links"),
        (
            "https://f.example/spam-1.tar.gz#sha256=0",
            PlaceKind.FILE,
            "https://f.example/spam-1.tar.gz#sha256=0",
        ),
        ("http://f.example/a-1-py3-none-any.whl", PlaceKind.FILE, None),
    ],
)
def test_find_links_elsewhere(folder: Path, value: str, kind: PlaceKind, url: str | None) -> None:
    (place,) = places(folder, find_links=value)
    assert (place.kind, place.url, place.path) == (kind, url or value, None)


def test_file_urls_name_local_places(folder: Path) -> None:
    (place,) = places(folder, find_links=(folder / "wheels").as_uri())
    assert (place.kind, place.path) == (PlaceKind.FOLDER, folder / "wheels")
    (wheel,) = places(
        folder, find_links=(folder / "wheels/spam-1-py3-none-any.whl").as_uri() + "#sha256=00"
    )
    assert wheel.kind is PlaceKind.FILE
    assert wheel.url.endswith("#sha256=00")
    (index,) = places(folder, index=(folder / "simple").as_uri())
    assert (index.kind, index.path) == (PlaceKind.LOCAL_INDEX, folder / "simple")


def test_an_index_elsewhere_and_its_pages(folder: Path) -> None:
    (place,) = places(folder, index="https://u:secret@i.example/simple")
    assert place.kind is PlaceKind.REMOTE_INDEX
    assert place.project_url("spam") == "https://u:secret@i.example/simple/spam/"
    assert "secret" not in place.shown


@pytest.mark.parametrize(
    "value",
    [
        "i.example/simple",
        "missing-folder",
        "file:///no/such/place",
        "file://otherhost/share",
        "ftp://f.example/",
        "x" * 5000,
        "",
    ],
)
@pytest.mark.parametrize("option", ["index_urls", "find_links"])
def test_a_value_that_points_nowhere_is_a_warning(folder: Path, value: str, option: str) -> None:
    origin = Origin(OriginKind.FILE, "extra-index-url", "/etc/pip.conf", "global", 7)
    sources = IndexSources(**{option: (Sourced(value, origin),)}, directory=folder)  # type: ignore[arg-type]
    found = find_places(sources)
    assert not found.places
    (warning,) = found.warnings
    assert value in warning
    assert "/etc/pip.conf, line 7" in warning


def test_find_links_come_first_and_each_place_counts_once(folder: Path) -> None:
    sources = IndexSources(
        index_urls=sourced("https://a.example/", "https://b.example/", "https://a.example/"),
        find_links=sourced("wheels", "./wheels"),
        directory=folder,
    )
    shown = [place.shown for place in find_places(sources).places]
    assert shown == [(folder / "wheels").as_uri(), "https://a.example/", "https://b.example/"]


def test_no_index_leaves_find_links(folder: Path) -> None:
    sources = IndexSources(
        index_urls=sourced("https://a.example/"),
        find_links=sourced("wheels"),
        no_index=True,
        directory=folder,
    )
    assert [place.kind for place in find_places(sources).places] == [PlaceKind.FOLDER]
