"""Tags as pip's, for every description; markers as the described Python's own."""

from __future__ import annotations

import itertools

import pytest

from kedge.environment import current
from kedge.environment.aim import Described, aim_at

PLATFORMS = [
    (),
    ("win_amd64",),
    ("manylinux2014_x86_64",),
    ("manylinux2014_aarch64",),
    ("manylinux_2_28_x86_64", "manylinux2010_x86_64"),
    ("macosx_11_0_arm64",),
    ("macosx_10_9_universal2",),
    ("ios_13_0_arm64_iphoneos",),
    ("android_21_arm64_v8a",),
    ("any",),
]
VERSIONS: list[tuple[int, ...]] = [(), (3,), (3, 8), (3, 12, 1), (3, 11), (3, 13), (2, 7)]
ABIS: list[tuple[str, ...]] = [(), ("cp38",), ("abi3",), ("none",), ("cp38", "none")]
IMPLEMENTATIONS = ["", "cp", "pp", "py"]


@pytest.mark.parametrize("platforms", PLATFORMS, ids=lambda one: "+".join(one) or "here")
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=lambda one: one or "own")
def test_the_tags_are_those_of_pip(platforms: tuple[str, ...], implementation: str) -> None:
    from pip._internal.models.target_python import TargetPython

    for version, abis in itertools.product(VERSIONS, ABIS):
        described = Described(
            platforms=platforms,
            python_version=version,
            implementation=implementation,
            abis=abis,
        )
        expected = TargetPython(
            platforms=list(platforms) or None,
            py_version_info=version or None,
            abis=list(abis) or None,
            implementation=implementation or None,
        ).get_sorted_tags()
        tags = [str(tag) for tag in aim_at(current(), described).tags]
        assert tags == list(dict.fromkeys(map(str, expected))), described


def test_nothing_described_is_the_interpreter() -> None:
    python = current()
    aim = aim_at(python)
    assert (aim.markers, aim.tags) == (python.markers, python.tags)
    assert aim.python_version == ".".join(map(str, python.version))


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        pytest.param(
            Described(platforms=("win_amd64",)),
            {
                "sys_platform": "win32",
                "platform_system": "Windows",
                "os_name": "nt",
                "platform_machine": "AMD64",
            },
            id="windows",
        ),
        pytest.param(
            Described(platforms=("macosx_11_0_arm64",)),
            {"sys_platform": "darwin", "platform_machine": "arm64", "os_name": "posix"},
            id="macos",
        ),
        pytest.param(
            Described(platforms=("manylinux_2_28_aarch64",)),
            {"sys_platform": "linux", "platform_machine": "aarch64"},
            id="linux",
        ),
        pytest.param(
            Described(platforms=("musllinux_1_2_x86_64",)),
            {"sys_platform": "linux", "platform_machine": "x86_64"},
            id="musl",
        ),
        pytest.param(
            Described(python_version=(3, 8)),
            {"python_version": "3.8", "python_full_version": "3.8.0"},
            id="python",
        ),
        pytest.param(
            Described(implementation="pp"),
            {"implementation_name": "pypy", "platform_python_implementation": "PyPy"},
            id="pypy",
        ),
    ],
)
def test_markers_follow_the_description(described: Described, expected: dict[str, str]) -> None:
    markers = aim_at(current(), described).markers
    assert {name: markers[name] for name in expected} == expected
    assert markers.keys() == current().markers.keys()


def test_a_machine_that_the_tag_leaves_open_stays() -> None:
    aim = aim_at(current(), Described(platforms=("macosx_11_0_universal2",)))
    assert aim.markers["platform_machine"] == current().markers["platform_machine"]
    assert aim.markers["sys_platform"] == "darwin"
