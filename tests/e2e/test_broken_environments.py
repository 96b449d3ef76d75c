"""Broken and foreign distributions, upgraded and uninstalled: by kedge and by the real pip.

Each case is laid out twice; pip has one copy and kedge the other. Afterwards both environments hold
the same files, or both are as they were; where kedge differs on purpose, the case says how and why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.venvs import Kedge, Outcome, Venv, make_venv
from support.wheels import wheel

pytest.importorskip("pip", reason="not here: pip")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="paths as POSIX has them")

INFO = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
NEW = wheel("demo", "2.0", files={"demo/new.py": "new = 1\n"})
Lay = Callable[["Ground"], None]


@dataclass
class Ground:
    """One environment, and a folder beside it that nothing may touch."""

    venv: Venv
    outside: Path

    @property
    def site(self) -> Path:
        return self.venv.site

    def write(self, files: dict[str, str], place: Path | None = None) -> None:
        for name, text in files.items():
            path = (place or self.site) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def sound(self, *rows: str, name: str = "demo", **more: str) -> Path:
        """``demo`` 1.0 as an installer leaves it, with further rows in RECORD."""
        info = self.site / f"{name}-1.0.dist-info"
        listed = ["demo/__init__.py", "demo/inner/a.py", "demo.txt"]
        listed += [f"{info.name}/{each}" for each in ("METADATA", "WHEEL", "INSTALLER", "RECORD")]
        record = "".join(f"{row},,\n" for row in (*listed, *rows))
        self.write({"demo/__init__.py": "", "demo/inner/a.py": "", "demo.txt": "text"})
        wheel_file = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        files = {"METADATA": INFO, "WHEEL": wheel_file, "INSTALLER": "pip\n", "RECORD": record}
        self.write({**files, **more}, info)
        return info

    def files(self) -> dict[str, str]:
        """Every file in the environment and outside, with its contents; paths made neutral."""
        found = {}
        for place, name in ((self.venv.path, "env"), (self.outside, "outside")):
            for path in sorted(place.rglob("*")):
                if (path.is_file() or path.is_symlink()) and "pyvenv.cfg" not in path.name:
                    text = (
                        str(path.readlink())
                        if path.is_symlink()
                        else path.read_text("utf-8", "replace")
                    )
                    text = text.replace(str(self.venv.path.parent), "ROOT")
                    found[f"{name}/{path.relative_to(place)}"] = text
        return found


CASES: dict[str, Lay] = {}


def case(lay: Lay) -> Lay:
    CASES[lay.__name__] = lay
    return lay


@case
def sound(ground: Ground) -> None:
    ground.sound()
    ground.write(
        {
            "demo/mine.txt": "mine",
            f"demo/__pycache__/__init__.{sys.implementation.cache_tag}.pyc": "x",
        }
    )


@case
def no_record(ground: Ground) -> None:
    (ground.sound() / "RECORD").unlink()


@case
def no_record_of_another_installer(ground: Ground) -> None:
    (ground.sound(INSTALLER="conda\n") / "RECORD").unlink()


@case
def no_metadata(ground: Ground) -> None:
    (ground.sound() / "METADATA").unlink()


@case
def an_empty_record(ground: Ground) -> None:
    ground.sound(RECORD="")


@case
def a_record_of_paths_alone(ground: Ground) -> None:
    ground.sound(RECORD="demo/__init__.py\ndemo/inner/a.py\n\n,,\ndemo-1.0.dist-info/RECORD\n")


@case
def a_record_with_wrong_digests(ground: Ground) -> None:
    ground.sound(RECORD="demo/__init__.py,sha256=nonsense,many\ndemo/inner/a.py,x,-1,more\n")


@case
def files_already_gone(ground: Ground) -> None:
    ground.sound("gone.py", "gone/deeper/x.py")
    (ground.site / "demo" / "__init__.py").unlink()
    (ground.site / "demo.txt").unlink()


@case
def absolute_paths_outside(ground: Ground) -> None:
    ground.sound(str(ground.outside / "precious.txt"))


@case
def paths_that_climb_out(ground: Ground) -> None:
    ground.sound(os.path.relpath(ground.outside / "precious.txt", ground.site))


@case
def absolute_paths_within(ground: Ground) -> None:
    ground.write({"tool": "x"}, ground.venv.scripts)
    ground.sound(str(ground.venv.scripts / "tool"), "../../../share/note.txt")
    ground.write({"share/note.txt": "x"}, ground.venv.path)


@case
def links_to_the_outside(ground: Ground) -> None:
    (ground.site / "linked.txt").symlink_to(ground.outside / "precious.txt")
    (ground.site / "folder").symlink_to(ground.outside)
    ground.sound("linked.txt", "folder/precious.txt")


@case
def a_name_in_capitals(ground: Ground) -> None:
    info = ground.sound(name="Demo")
    ground.write({"METADATA": INFO.replace("Name: demo", "Name: Demo")}, info)


@case
def two_at_once(ground: Ground) -> None:
    """What an interrupted upgrade leaves: the older is a folder of metadata without files."""
    info = ground.site / "demo-0.9.dist-info"
    ground.sound()
    text = INFO.replace("1.0", "0.9")
    ground.write(
        {"METADATA": text, "RECORD": f"{info.name}/METADATA,,\n{info.name}/RECORD,,\n"}, info
    )


@case
def leftovers_of_an_interrupted_removal(ground: Ground) -> None:
    ground.sound()
    ground.write({"~emo-0.9.dist-info/METADATA": INFO, "~emo/x.py": ""})


@case
def distutils(ground: Ground) -> None:
    ground.write({"demo-1.0-py3.11.egg-info": INFO, "demo.py": ""})


@case
def egg_info_with_a_list(ground: Ground) -> None:
    info = "demo-1.0-py3.11.egg-info"
    lists = "../demo/__init__.py\n../single.py\nPKG-INFO\ninstalled-files.txt\n"
    ground.write({"demo/__init__.py": "", "single.py": "", "demo/mine.txt": "mine"})
    ground.write({"PKG-INFO": INFO, "installed-files.txt": lists}, ground.site / info)


@case
def egg_info_with_names_alone(ground: Ground) -> None:
    info = "demo-1.0-py3.11.egg-info"
    ground.write({"demo/__init__.py": "", "demo/more.py": "", "single.py": ""})
    ground.write({"PKG-INFO": INFO, "top_level.txt": "demo\nsingle\n"}, ground.site / info)


@case
def an_egg(ground: Ground) -> None:
    egg = "demo-1.0-py3.11.egg"
    ground.write({"EGG-INFO/PKG-INFO": INFO, "demo/__init__.py": ""}, ground.site / egg)
    ground.write({"easy-install.pth": f"./other.egg\n./{egg}\n"})


@case
def a_project_in_development(ground: Ground) -> None:
    project = ground.outside / "project"
    ground.write({"demo.egg-info/PKG-INFO": INFO, "demo/__init__.py": "", "setup.py": ""}, project)
    ground.write({"demo.egg-link": f"{project}\n.", "easy-install.pth": f"{project}\n"})


@case
def an_editable_project(ground: Ground) -> None:
    project = ground.outside / "project"
    ground.write({"src/demo/__init__.py": "", "pyproject.toml": ""}, project)
    ground.write({"__editable__.demo-1.0.pth": f"{project / 'src'}\n"})
    direct = {"url": project.as_uri(), "dir_info": {"editable": True}}
    info = ground.site / "demo-1.0.dist-info"
    own = [f"{info.name}/{each}" for each in ("METADATA", "direct_url.json", "RECORD")]
    rows = "".join(f"{row},,\n" for row in ("__editable__.demo-1.0.pth", *own))
    ground.write({"METADATA": INFO, "direct_url.json": json.dumps(direct), "RECORD": rows}, info)


#: pip leaves the metadata folder with what its damaged RECORD does not list (or crashes, of the
#: one with empty lines): a second, false ``demo 1.0`` for whoever looks. kedge takes all of it.
FOLDER_GOES = {"a_record_with_wrong_digests", "a_record_of_paths_alone"}
#: pip says that there is nothing to remove and goes on; kedge refuses, as without a RECORD.
REFUSED = {"an_empty_record"}
#: pip takes a link away that is not in RECORD, with the folder that holds nothing else.
LINK_STAYS = {"links_to_the_outside"}


def run_pip(ground: Ground, *words: str) -> Outcome:
    line = [sys.executable, "-m", "pip", "--python", str(ground.venv.python), *words]
    environ = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull}
    environ |= {"_PIP_USE_IMPORTLIB_METADATA": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(line, capture_output=True, text=True, env=environ)
    return Outcome(tuple(words), done.returncode, done.stdout, done.stderr)


@pytest.fixture
def grounds(tmp_path: Path) -> tuple[Ground, Ground]:
    """kedge's and pip's, with paths of one length."""
    made = []
    for name in ("ours", "them"):
        outside = tmp_path / name / "outside"
        outside.mkdir(parents=True)
        (outside / "precious.txt").write_text("precious")
        made.append(Ground(make_venv(tmp_path / name / "env"), outside))
    return made[0], made[1]


def compare(name: str, grounds: tuple[Ground, Ground], words: list[str], kedge: Kedge) -> None:
    ours, theirs = grounds
    for ground in grounds:
        CASES[name](ground)
    before = ours.files()
    assert before == theirs.files()
    pip = run_pip(theirs, *words)
    outcome = Kedge(kedge.environ, python=ours.venv, cwd=kedge.cwd)(words[0], *words[1:])
    outcome.without_traceback()
    both = f"{outcome}\n--- pip\n{pip}"
    if outcome.code:
        assert ours.files() == before, both
    if name in REFUSED:
        outcome.failed(1, saying=["RECORD", "--ignore-installed"])
        return
    own = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")

    def with_own_words(each: dict[str, str]) -> dict[str, str]:
        return {
            path: "" if "demo-2.0" in path and path.endswith(own) else text
            for path, text in each.items()
        }

    left, right = with_own_words(ours.files()), with_own_words(theirs.files())
    if name in FOLDER_GOES:
        outcome.succeeded()
        assert not [path for path in left if "demo-1.0" in path]
        if pip.code == 0:
            right = {path: text for path, text in right.items() if "demo-1.0" not in path}
            assert left == right, both
        return
    if name in LINK_STAYS:
        del left[f"env/{(ours.site / 'folder').relative_to(ours.venv.path)}"]
    assert left == right, both
    assert (outcome.code == 0) is (pip.code == 0), both


@pytest.mark.parametrize("name", CASES)
def test_uninstall(name: str, grounds: tuple[Ground, Ground], plain_kedge: Kedge) -> None:
    compare(name, grounds, ["uninstall", "-y", "DEMO"], plain_kedge)


@pytest.mark.parametrize("name", CASES)
def test_upgrade(
    name: str, grounds: tuple[Ground, Ground], plain_kedge: Kedge, tmp_path: Path
) -> None:
    NEW.write(tmp_path / "links")
    words = ["install", "-U", "demo", "--no-index", "--no-compile", "--find-links"]
    compare(name, grounds, [*words, str(tmp_path / "links")], plain_kedge)
