from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from environment.distributions import developed, dist_info, distutils, egg, egg_info
from kedge.environment.installed import InstalledDistribution, Kind, installed, scan
from kedge.errors import TargetError
from kedge.model import DirectUrl


def one(site: Path, name: str) -> InstalledDistribution:
    return installed([site])[name]  # type: ignore[index] # a normalised name, written out


def test_a_wheel_that_was_installed(tmp_path: Path) -> None:
    info = dist_info(tmp_path, "Zope.Thing", "1.0rc1", requires=["a", "b; extra == 'x'"])
    found = one(tmp_path, "zope-thing")
    assert found.kind is Kind.DIST_INFO
    assert (found.dist_info, found.location, found.installed_location) == (info, tmp_path, tmp_path)
    assert (found.raw_name, found.version_text) == ("Zope.Thing", "1.0rc1")
    assert found.version == Version("1.0rc1")
    assert [requirement.name for requirement in found.metadata.requires_dist] == ["a", "b"]
    assert found.installer == "pip"
    assert not found.requested
    assert found.direct_url is None
    assert found.editable_location is None
    assert found.problems == ()


def test_names_and_versions_need_no_file(tmp_path: Path) -> None:
    dist_info(tmp_path, "demo-name", "2.0", metadata="Name: other\nVersion: 3.0\n")
    found = one(tmp_path, "demo-name")
    assert found.version == Version("2.0")
    assert (found.raw_name, found.metadata.version_text) == ("other", "3.0")


def test_requested_and_installer(tmp_path: Path) -> None:
    files = {"REQUESTED": "\n", "INSTALLER": "\n  uv \nmore\n"}
    dist_info(tmp_path, "demo", files=files)
    found = one(tmp_path, "demo")
    assert found.requested
    assert found.installer == "uv"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"url": "https://x/a.whl", "archive_info": {}}',
                     DirectUrl("https://x/a.whl", archive_hashes={}), id="archive"),
        pytest.param('{"url": "https://x/a", "vcs_info": {"vcs": "git", "commit_id": "c0"}}',
                     DirectUrl("https://x/a", vcs="git", commit_id="c0"), id="vcs"),
        pytest.param("{", None, id="damaged"),
    ],
)  # fmt: skip
def test_direct_urls(text: str, expected: DirectUrl | None, tmp_path: Path) -> None:
    dist_info(tmp_path, "demo", files={"direct_url.json": text})
    assert one(tmp_path, "demo").direct_url == expected


@pytest.mark.parametrize(
    ("url", "editable", "location"),
    [
        ("file:///a%20b/project", True, Path("/a b/project")),
        ("file://localhost/a/project", True, Path("/a/project")),
        ("file:///a/project", False, None),
        ("https://example.org/project", True, None),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="paths as POSIX has them")
def test_editable_projects(url: str, editable: bool, location: Path | None, tmp_path: Path) -> None:
    direct_url = {"url": url, "dir_info": {"editable": editable}}
    dist_info(tmp_path, "demo", direct_url=direct_url)
    assert one(tmp_path, "demo").editable_location == location


def test_an_egg_info_folder_and_its_requirements(tmp_path: Path) -> None:
    text = """\
plain>=1

[fast:python_version < "4"]
quick
[Slow_One]
sluggish
# a comment
[:sys_platform == "win32"]
pywin
"""
    info = egg_info(tmp_path, "demo", "1.2", requires=text)
    found = one(tmp_path, "demo")
    assert found.kind is Kind.EGG_INFO
    assert found.version == Version("1.2")
    assert found.dist_info == info
    assert [str(requirement) for requirement in found.metadata.requires_dist] == [
        "plain>=1",
        'quick; python_version < "4" and extra == "fast"',
        'sluggish; extra == "slow-one"',
        'pywin; sys_platform == "win32"',
    ]
    assert found.metadata.provides_extra == ("fast", "slow-one")


def test_a_marker_with_or_keeps_its_meaning_under_an_extra(tmp_path: Path) -> None:
    egg_info(tmp_path, "demo", requires='[x:os_name == "nt" or os_name == "posix"]\nneeded\n')
    (needed,) = one(tmp_path, "demo").metadata.requires_dist
    assert needed.marker is not None
    assert not needed.marker.evaluate({"os_name": "nt", "extra": ""})
    assert needed.marker.evaluate({"os_name": "nt", "extra": "x"})


def test_a_distutils_file(tmp_path: Path) -> None:
    info = distutils(tmp_path, "demo", "0.9")
    found = one(tmp_path, "demo")
    assert found.kind is Kind.DISTUTILS
    assert (found.raw_name, found.version_text, found.dist_info) == ("demo", "0.9", info)
    assert (found.files(), found.installer, found.requested) == (None, "", False)


def test_an_egg_folder_on_the_path(tmp_path: Path) -> None:
    folder = egg(tmp_path, "demo", "1.1")
    assert "demo" not in installed([tmp_path])
    found = one(folder, "demo")
    assert found.kind is Kind.EGG
    assert found.version == Version("1.1")


def test_a_developed_project_is_found_through_its_link(tmp_path: Path) -> None:
    site, project = tmp_path / "site", tmp_path / "project"
    site.mkdir()
    link = developed(site, project, "my-demo", "3.0")
    found = one(site, "my-demo")
    assert (found.link, found.location, found.installed_location) == (link, project, site)
    assert found.editable_location == project
    assert found.version == Version("3.0")
    # The same when the project comes first on the path.
    first = installed([project, site])["my-demo"]  # type: ignore[index]
    assert (first.link, first.editable_location) == (link, project)


def test_a_copy_of_a_project_is_not_the_one_that_is_linked(tmp_path: Path) -> None:
    site, copy = tmp_path / "site", tmp_path / "copy"
    site.mkdir()
    developed(site, tmp_path / "project", "demo")
    egg_info(copy, "demo", stem="demo")
    first = installed([copy, site])["demo"]  # type: ignore[index]
    assert (first.location, first.link, first.editable_location) == (copy, None, None)


def test_a_relative_link_and_an_empty_one(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    developed(site, tmp_path / "project", "demo")
    (site / "demo.egg-link").write_text("\n  ../project\n../\n")
    (site / "empty.egg-link").write_text("\n")
    (site / "nowhere.egg-link").write_text("/no/such/place\n")
    assert one(site, "demo").location == tmp_path / "project"
    assert set(installed([site])) == {"demo"}


def test_a_project_on_the_path_without_a_link_is_not_editable(tmp_path: Path) -> None:
    egg_info(tmp_path, "demo", stem="demo")
    assert one(tmp_path, "demo").editable_location is None


# --------------------------------------------------------------------------------------------
# What is broken


def test_broken_ones_are_found_with_what_can_be_known(tmp_path: Path) -> None:
    dist_info(tmp_path, "no-metadata", "1.5", files={"METADATA": ""})
    dist_info(tmp_path, "no-record", files={"RECORD": ""})
    dist_info(tmp_path, "no-name", metadata="Version: 1.0\n")
    bare = one(tmp_path, "no-metadata")
    assert (bare.raw_name, bare.version_text) == ("no-metadata", "1.5")
    assert bare.metadata.requires_dist == ()
    assert len(bare.problems) == 1
    unlisted = one(tmp_path, "no-record")
    assert unlisted.files() is None
    assert len(unlisted.problems) == 1
    assert one(tmp_path, "no-name").raw_name == "no-name"


def test_an_invalid_version_is_told_when_it_is_needed(tmp_path: Path) -> None:
    dist_info(tmp_path, "demo", "2004d")
    found = one(tmp_path, "demo")
    assert found.version_text == "2004d"
    with pytest.raises(TargetError) as caught:
        _ = found.version
    assert "2004d" in caught.value.message
    assert str(found.dist_info) in caught.value.message


def test_a_folder_with_a_name_alone_is_what_its_metadata_says(tmp_path: Path) -> None:
    dist_info(tmp_path, "Demo", "1.4", folder="something.dist-info")
    dist_info(tmp_path, "x", folder="unknown.dist-info", metadata="")
    assert set(installed([tmp_path])) == {"demo"}
    assert one(tmp_path, "demo").version == Version("1.4")


@pytest.mark.parametrize("leftover", ["~emo-1.0", "-emo-1.0", "=emo-1.0", "~-emo-1.0"])
def test_leftovers_of_removals_are_passed_over_with_a_word(leftover: str, tmp_path: Path) -> None:
    info = dist_info(tmp_path, "demo", folder=f"{leftover}.dist-info")
    told: list[str] = []
    assert installed([tmp_path], warn=told.append) == {}
    assert len(told) == 1
    assert str(info) in told[0]


def test_what_is_no_distribution(tmp_path: Path) -> None:
    (tmp_path / "file-1.0.dist-info").touch()
    (tmp_path / "module.py").touch()
    (tmp_path / "EGG-INFO").mkdir()
    assert installed([tmp_path, tmp_path / "missing", tmp_path / "module.py"]) == {}


# --------------------------------------------------------------------------------------------
# Of several


def test_the_first_on_the_path_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    dist_info(first, "demo", "1.0")
    dist_info(second, "Demo", "2.0")
    dist_info(second, "other")
    assert installed([first, second])["demo"].version_text == "1.0"  # type: ignore[index]
    assert installed([second, first])["demo"].version_text == "2.0"  # type: ignore[index]
    versions = [(found.name, found.version_text) for found in scan([first, second])]
    assert sorted(versions) == [("demo", "1.0"), ("demo", "2.0"), ("other", "1.0")]


@pytest.mark.parametrize("whole", ["1.0", "2.0"])
def test_in_one_folder_a_whole_one_comes_before_a_broken_one(whole: str, tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        dist_info(tmp_path, "demo", version, metadata=None if version == whole else "")
    assert one(tmp_path, "demo").version_text == whole


def test_of_two_whole_ones_in_one_folder_the_file_systems_first_counts(tmp_path: Path) -> None:
    for version in ("1.0", "2.0", "3.0"):
        dist_info(tmp_path, "demo", version)
    first = next(iter(scan([tmp_path])))
    assert one(tmp_path, "demo").dist_info == first.dist_info


def test_a_broken_one_hides_those_further_on(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    dist_info(first, "demo", "1.0", metadata="")
    dist_info(second, "demo", "2.0")
    assert installed([first, second])["demo"].version_text == "1.0"  # type: ignore[index]


# --------------------------------------------------------------------------------------------
# Files


def test_recorded_files(tmp_path: Path) -> None:
    record = (
        "demo/__init__.py,sha256=AbC_-d,12\n"
        '"demo/a,b.py",,\n'
        "../../../bin/demo,md5=xyz,not-a-number\n"
        "/etc/demo.conf,,\n"
        "\n"
        "demo/./sub//x.py\n"
    )
    site = tmp_path / "lib" / "python3" / "site-packages"
    dist_info(site, "demo", files={"RECORD": record})
    files = one(site, "demo").files()
    assert files is not None
    got = [(str(entry.path), entry.digest, entry.size) for entry in files]
    assert got == [
        (f"{site}/demo/__init__.py", ("sha256", "AbC_-d"), 12),
        (f"{site}/demo/a,b.py", None, None),
        (f"{tmp_path}/bin/demo", ("md5", "xyz"), None),
        ("/etc/demo.conf", None, None),
        (f"{site}/demo/sub/x.py", None, None),
    ]
    assert files[2].recorded == "../../../bin/demo"


def test_the_older_list_starts_at_its_folder(tmp_path: Path) -> None:
    egg_info(tmp_path, "demo", installed_files="../demo/__init__.py\nPKG-INFO\n\n")
    files = one(tmp_path, "demo").files()
    assert files is not None
    info = tmp_path / "demo-1.0-py3.11.egg-info"
    assert [entry.path for entry in files] == [tmp_path / "demo" / "__init__.py", info / "PKG-INFO"]


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    dist_info(tmp_path, "demo", files={"RECORD": "x" * 200_000})
    with pytest.raises(TargetError, match="RECORD"):
        one(tmp_path, "demo").files()


#: Scans one folder after the other; of each it tells what was read of the disk, how many calls and
#: lines that took, and what was found. The first time is for what is imported then.
COUNTED = """
import json, sys
from pathlib import Path
from kedge.environment.installed import installed

def scan(folder):
    found = installed([Path(folder)])
    return len(found), sorted({each.version_text for each in found.values()})

def read(event, arguments):
    if event in ("open", "os.listdir", "os.scandir"):
        disk.append((event, str(arguments[0])))

def step(frame, event, argument):
    global steps
    steps += event in ("line", "c_call")
    return step

disk, steps = [], 0
scan(sys.argv[1])
sys.addaudithook(read)
for folder in sys.argv[1:]:
    disk, steps = [], 0
    sys.setprofile(step)
    sys.settrace(step)
    found = scan(folder)
    sys.settrace(None)
    sys.setprofile(None)
    print(json.dumps([disk, steps, found]))
"""


def test_a_scan_reads_names_alone_and_costs_twice_as_much_for_twice_as_many(
    tmp_path: Path, clean_environ: dict[str, str]
) -> None:
    folders = []
    for count in (300, 600):
        folder = tmp_path / str(count)
        for number in range(count):
            (folder / f"demo_{number}").mkdir(parents=True)
            dist_info(folder, f"demo_{number}")
        folders.append(str(folder))
    command = [sys.executable, "-c", COUNTED, *folders]
    done = subprocess.run(command, env=clean_environ, capture_output=True, text=True, check=True)
    few, many = map(json.loads, done.stdout.splitlines())
    for (disk, _, found), listed, count in zip((few, many), folders, (300, 600), strict=True):
        assert disk == [["os.scandir", listed]]
        assert found == [count, ["1.0"]]
    assert many[1] < 2.1 * few[1]
    assert many[1] - few[1] < 300 * 400
