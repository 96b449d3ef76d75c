"""Sources through the whole install: by name, by path, by URL, editable; and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.backends import (
    as_sdist,
    project,
    real_with_requirements,
    static_pkg_info,
    write_project,
)
from support.building import Shop
from support.venvs import Venv
from support.wheels import wheel


def direct_url(venv: Venv, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((venv.dist_info(name) / "direct_url.json").read_text())
    return found


# --------------------------------------------------------------------------------------------
# What is built


def test_a_source_distribution_and_what_it_requires(shop: Shop, venv: Venv) -> None:
    shop.offer(as_sdist("spam", "1.0", project("spam", requires=["inner"])), wheel("inner"))
    assert shop.run("install", venv, "spam") == 0
    assert venv.versions() == {"spam": "1.0", "inner": "1.0"}
    assert venv.run("-c", "import spam; print(spam.VERSION)").strip() == "1.0"
    assert not (venv.dist_info("spam") / "direct_url.json").exists()


def test_build_requirements_come_from_the_same_index_and_stay_out(shop: Shop, venv: Venv) -> None:
    code = "import helper\nVERSION_OF_HELPER = helper.__version__\n"
    shop.offer(
        wheel("helper", "1.0"),
        wheel("helper", "2.0"),
        wheel("more", requires=["deeper"]),
        wheel("deeper"),
        as_sdist(
            "spam",
            "1.0",
            project(
                "spam",
                build_requires=["helper<2"],
                dynamic=["more"],
                code=code
                + (
                    "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
                    "    import deeper, more\n"
                    "    return _wheel(folder, {'spam.py': f'HELPER = {VERSION_OF_HELPER!r}'})\n"
                ),
            ),
        ),
    )
    assert shop.run("install", venv, "spam") == 0
    assert venv.versions() == {"spam": "1.0"}
    assert venv.run("-c", "import spam; print(spam.HELPER)").strip() == "1.0"


def test_build_constraints(shop: Shop, venv: Venv, tmp_path: Path) -> None:
    code = "import helper\nassert helper.__version__ == '1.0', helper.__version__\n"
    files = project("spam", build_requires=["helper"], code=code)
    shop.offer(wheel("helper", "1.0"), wheel("helper", "2.0"), as_sdist("spam", "1.0", files))
    (tmp_path / "limits.txt").write_text("helper<2\n")
    assert shop.run("install", venv, "spam") == 1
    assert shop.run("install", venv, "spam", "-c", tmp_path / "limits.txt") == 1
    assert shop.run("install", venv, "spam", "--build-constraint", tmp_path / "limits.txt") == 0


def test_a_build_requirement_that_has_to_be_built_itself(shop: Shop, venv: Venv) -> None:
    shop.offer(
        as_sdist("tool", "1.0", project("tool")),
        as_sdist("spam", "1.0", project("spam", build_requires=["tool"], code="import tool\n")),
    )
    assert shop.run("install", venv, "spam") == 0
    assert venv.versions() == {"spam": "1.0"}


@pytest.mark.parametrize(
    ("backend", "table"),
    [
        pytest.param("hatchling", "hatchling.build", id="hatchling"),
        pytest.param("setuptools", "setuptools.build_meta", id="setuptools"),
        pytest.param("flit-core", "flit_core.buildapi", id="flit"),
    ],
)
@pytest.mark.parametrize("editable", [False, True], ids=["plain", "editable"])
def test_real_backends(
    shop: Shop, venv: Venv, tmp_path: Path, backend: str, table: str, editable: bool
) -> None:
    shop.offer(*real_with_requirements(backend), *real_with_requirements("editables"))
    folder = write_project(
        tmp_path / "spam",
        {
            "pyproject.toml": (
                f'[build-system]\nrequires = ["{backend}"]\nbuild-backend = "{table}"\n'
                '[project]\nname = "spam"\nversion = "1.5"\ndescription = "for a test"\n'
                '[project.scripts]\nspam-tell = "spam:main"\n'
            ),
            "spam/__init__.py": '"""Spam."""\ndef main():\n    print("told")\n',
        },
    )
    words = ["-e", folder] if editable else [folder]
    assert shop.run("install", venv, *words) == 0
    assert venv.versions() == {"spam": "1.5"}
    assert venv.run_script("spam-tell").strip() == "told"
    info = {"editable": True} if editable else {}
    assert direct_url(venv, "spam") == {"url": folder.as_uri(), "dir_info": info}
    record = (venv.dist_info("spam") / "RECORD").read_text()
    assert "direct_url.json,sha256=" in record
    where = Path(venv.run("-c", "import spam; print(spam.__file__)").strip())
    assert where.is_relative_to(folder if editable else venv.site)


def test_a_project_with_nothing_but_setup_py(shop: Shop, venv: Venv, tmp_path: Path) -> None:
    shop.offer(*real_with_requirements("setuptools"))
    folder = write_project(
        tmp_path / "old",
        {
            "setup.py": "from setuptools import setup\nsetup(name='Old.Thing', version='0.1', "
            "py_modules=['old'])\n",
            "old.py": "",
        },
    )
    assert shop.run("install", venv, folder) == 0
    assert venv.versions() == {"old-thing": "0.1"}


def test_archives_by_path_and_by_url_with_a_subdirectory(
    shop: Shop, venv: Venv, another: Venv, tmp_path: Path
) -> None:
    files = {f"below/{path}": text for path, text in project("spam").items()}
    archive = as_sdist("stuff", "9", files)
    path = archive.write(tmp_path)
    shop.offer(archive)
    assert shop.run("install", venv, f"spam @ {path.as_uri()}#subdirectory=below") == 0
    expected = {
        "archive_info": {"hash": f"sha256={archive.sha256}", "hashes": {"sha256": archive.sha256}},
        "subdirectory": "below",
    }
    assert direct_url(venv, "spam") == {"url": path.as_uri(), **expected}
    url = shop.url_of(archive)
    assert shop.run("install", another, f"{url}#subdirectory=below&sha256={archive.sha256}") == 0
    assert direct_url(another, "spam") == {"url": url, **expected}
    assert shop.run("install", another, "--force-reinstall", f"{url}#subdirectory=nowhere") == 1


def test_extras_and_a_wrong_name_beside_a_url(
    shop: Shop, venv: Venv, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_project(tmp_path / "spam", project("spam"))
    assert shop.run("install", venv, f"eggs @ {folder.as_uri()}") == 1
    assert "spam 1.0" in capsys.readouterr().err
    assert shop.run("install", venv, f"spam[none] @ {folder.as_uri()}") == 0


# --------------------------------------------------------------------------------------------
# What is not built


def test_static_metadata_spares_the_build_until_it_is_needed(
    shop: Shop, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    info = static_pkg_info("spam", "1.0", requires=["inner"])
    files = project("spam", requires=["inner"], code="raise SystemExit('ran')\n", pkg_info=info)
    shop.offer(wheel("inner"), as_sdist("spam", "1.0", files))
    assert shop.run("install", venv, "--dry-run", "spam") == 0
    assert capsys.readouterr().out.split() == ["inner==1.0", "spam==1.0"]
    assert shop.run("install", venv, "spam") == 1
    assert venv.versions() == {}


def test_static_metadata_that_lies(
    shop: Shop, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    info = static_pkg_info("spam", "1.0")
    files = project("spam", requires=["inner"], pkg_info=info)
    shop.offer(wheel("inner"), as_sdist("spam", "1.0", files))
    assert shop.run("install", venv, "spam") == 0
    assert "spam 1.0" in capsys.readouterr().err
    assert venv.versions() == {"spam": "1.0", "inner": "1.0"}


def test_static_metadata_that_lies_about_a_build_requirement(shop: Shop, venv: Venv) -> None:
    tool = project("tool", requires=["inner"], pkg_info=static_pkg_info("tool", "1.0"))
    code = "import inner, tool\n"
    shop.offer(
        wheel("inner"),
        as_sdist("tool", "1.0", tool),
        as_sdist("spam", "1.0", project("spam", build_requires=["tool"], code=code)),
    )
    assert shop.run("install", venv, "spam") == 0
    assert venv.versions() == {"spam": "1.0"}


def test_a_wheel_that_requires_more_than_its_metadata_said(shop: Shop, venv: Venv) -> None:
    code = (
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    facts['requires'].append('inner')\n"
        "    return _wheel(folder, _sources())\n"
    )
    shop.offer(wheel("inner"), as_sdist("spam", "1.0", project("spam", code=code)))
    assert shop.run("install", venv, "spam") == 0
    assert venv.versions() == {"spam": "1.0", "inner": "1.0"}


def test_a_digest_in_a_url_that_a_dependency_names(
    shop: Shop, venv: Venv, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = as_sdist("inner", "1.0", project("inner")).write(tmp_path)
    url = f"{path.as_uri()}#sha256={'0' * 64}"
    shop.offer(wheel("outer", requires=[f"inner @ {url}"]))
    assert shop.run("install", venv, "outer") == 1
    assert "0" * 64 in capsys.readouterr().err


def test_what_was_built_once_is_not_built_again(
    shop: Shop, venv: Venv, another: Venv, tmp_path: Path
) -> None:
    mark = tmp_path / "built"
    code = f"open({str(mark)!r}, 'a').write('x')\n"  # each hook runs in a process of its own
    shop.offer(as_sdist("spam", "1.0", project("spam", code=code)))
    assert shop.run("install", venv, "spam") == 0
    first = mark.read_text()
    shop.server.forget()
    assert shop.run("install", another, "spam") == 0
    assert mark.read_text() == first
    assert another.versions() == {"spam": "1.0"}
    assert not any("spam-1.0.tar.gz" in path for path in shop.server.paths)
    # Another setting is another wheel.
    assert shop.run("install", another, "--force-reinstall", "-C", "a=b", "spam") == 0
    assert mark.read_text() != first


def test_folders_are_built_each_time(shop: Shop, venv: Venv, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "spam", project("spam"))
    assert shop.run("install", venv, folder) == 0
    (folder / "spam.py").write_text("VERSION = 'changed'\n")
    assert shop.run("install", venv, folder) == 0
    assert venv.run("-c", "import spam; print(spam.VERSION)").strip() == "changed"


def test_what_came_unverified_is_built_for_this_run_only(
    shop: Shop, venv: Venv, another: Venv, tmp_path: Path
) -> None:
    mark = tmp_path / "built"
    code = f"open({str(mark)!r}, 'a').write('x')\n"
    shop.offer(as_sdist("spam", "1.0", project("spam", code=code)))
    words = ["--trusted-host", "localhost", "spam"]
    assert shop.run("install", venv, *words, PIP_CERT="") == 0
    first = mark.read_text()
    assert shop.run("install", another, *words, PIP_CERT="") == 0
    assert len(mark.read_text()) == 2 * len(first)


def test_a_build_helped_by_something_unvouched_is_for_this_run_only(
    shop: Shop, venv: Venv, another: Venv, tmp_path: Path
) -> None:
    mark = tmp_path / "built"
    code = f"import helper\nopen({str(mark)!r}, 'a').write('x')\n"
    shop.offer(wheel("helper"))
    path = as_sdist("spam", "1.0", project("spam", build_requires=["helper"], code=code)).write(
        tmp_path
    )
    words = ("--trusted-host", "localhost", path)
    assert shop.run("install", venv, *words, PIP_CERT="") == 0
    first = mark.read_text()
    assert shop.run("install", another, *words, PIP_CERT="") == 0
    assert len(mark.read_text()) == 2 * len(first)
    assert shop.run("install", another, "--force-reinstall", path) == 0
    again = mark.read_text()
    assert shop.run("install", venv, "--force-reinstall", path) == 0
    assert mark.read_text() == again


# --------------------------------------------------------------------------------------------
# Settings


def test_config_settings_of_the_command_line_and_of_a_line(
    shop: Shop, venv: Venv, another: Venv, tmp_path: Path
) -> None:
    code = (
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    return _wheel(folder, {'spam.py': f'GIVEN = {config_settings!r}'})\n"
    )
    shop.offer(as_sdist("spam", "1.0", project("spam", code=code)))
    assert shop.run("install", venv, "-C", "a=1", "-C", "a=2", "--config-settings=b=c", "spam") == 0
    given = venv.run("-c", "import spam; print(spam.GIVEN)")
    assert given.strip() == "{'a': ['1', '2'], 'b': 'c'}"
    listed = tmp_path / "requirements.txt"
    listed.write_text('spam --config-settings "mode=fast"\n')
    assert shop.run("install", another, "-r", listed) == 0
    assert another.run("-c", "import spam; print(spam.GIVEN)").strip() == "{'mode': 'fast'}"


def test_without_isolation_the_environment_itself_builds(
    shop: Shop, venv: Venv, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.offer(wheel("helper"))
    files = project("spam", build_requires=["helper>=1"], code="import helper\n")
    folder = write_project(tmp_path / "spam", files)
    words = ("--no-build-isolation", folder)
    assert shop.run("install", venv, *words) == 1
    assert "No module named 'helper'" in capsys.readouterr().err
    assert shop.run("install", venv, *words, "--check-build-dependencies") == 1
    assert "helper>=1 is not installed" in capsys.readouterr().err
    assert shop.run("install", venv, "helper") == 0
    assert shop.run("install", venv, *words, "--check-build-dependencies") == 0


def test_an_editable_project_stays_where_it_is_and_is_replaced_by_a_plain_one(
    shop: Shop, venv: Venv, tmp_path: Path
) -> None:
    folder = write_project(tmp_path / "spam", project("spam"))
    for words, info in ((["-e", folder], {"editable": True}), ([folder], {})):
        assert shop.run("install", venv, *words) == 0
        assert direct_url(venv, "spam")["dir_info"] == info
    assert shop.run("install", venv, "-r", _listing(tmp_path, f"-e {folder}")) == 0
    assert direct_url(venv, "spam")["dir_info"] == {"editable": True}


def _listing(folder: Path, text: str) -> Path:
    path = folder / "listing.txt"
    path.write_text(text + "\n")
    return path


# --------------------------------------------------------------------------------------------
# What goes wrong


_OTHER_PROJECT = """\
def build_wheel(folder, *a, **k):
    global INFO, NAME
    NAME = "other"
    INFO = "other-1.0.dist-info"
    return _wheel(folder, {}, "other-1.0-py3-none-any.whl")
"""
_OTHER_VERSION = """\
def build_wheel(folder, *a, **k):
    global INFO, VERSION
    VERSION = "7"
    INFO = "spam-7.dist-info"
    return _wheel(folder, {}, "spam-7-py3-none-any.whl")
"""
_NO_METADATA = """\
def prepare_metadata_for_build_wheel(folder, c=None):
    os.mkdir(folder + "/x")
    return "x"
"""
FAILURES = {
    "the hook fails": (
        "def build_wheel(*a, **k):\n    print('the last words')\n    raise SystemExit(3)\n",
        ["the last words", "exit code 3"],
    ),
    "the hook raises": ("def build_wheel(*a, **k):\n    1 / 0\n", ["ZeroDivisionError"]),
    "importing fails": ("raise ImportError('no luck')\n", ["no luck", "tiny"]),
    "no build_wheel": ("del build_wheel\n", ["build_wheel"]),
    "it ends itself": ("import os\nos._exit(0)\n", ["no answer"]),
    "another project": (_OTHER_PROJECT, ["other"]),
    "another version": (_OTHER_VERSION, ["spam 7", "spam 1.0"]),
    "a wheel that is not there": ("def build_wheel(*a, **k):\n    return 'x.whl'\n", ["x.whl"]),
    "a path that leads out": ("def build_wheel(*a, **k):\n    return '../x.whl'\n", ["../x.whl"]),
    "no name at all": ("def build_wheel(*a, **k):\n    return None\n", ["None"]),
    "no requirements": ("def get_requires_for_build_wheel(c):\n    return 'spam'\n", ["'spam'"]),
    "requirements that are none": (
        "def get_requires_for_build_wheel(c):\n    return ['a b']\n",
        ["a b"],
    ),
    "no metadata": (_NO_METADATA, ["METADATA"]),
}


@pytest.mark.parametrize(("code", "told"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failing_build_changes_nothing_and_leaves_nothing(
    shop: Shop,
    venv: Venv,
    capsys: pytest.CaptureFixture[str],
    code: str,
    told: list[str],
) -> None:
    shop.offer(wheel("inner"), as_sdist("spam", "1.0", project("spam", code=code)))
    before = venv.snapshot()
    assert shop.run("install", venv, "inner", "spam") == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said.split("| ")[0]
    assert "bug in kedge" not in said
    for specific in ("spam", *told):
        assert specific in said
    assert venv.snapshot() == before
    assert shop.left_behind() == []


def test_a_hook_that_is_missing_has_a_fallback(shop: Shop, venv: Venv) -> None:
    code = "del prepare_metadata_for_build_wheel, get_requires_for_build_wheel\n"
    shop.offer(as_sdist("spam", "1.0", project("spam", code=code)))
    assert shop.run("install", venv, "spam") == 0
    assert venv.versions() == {"spam": "1.0"}


def test_a_backend_without_editable_installs(
    shop: Shop, venv: Venv, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_project(tmp_path / "spam", project("spam", code="del build_editable\n"))
    assert shop.run("install", venv, "-e", folder) == 1
    assert "PEP 660" in capsys.readouterr().err


def test_requirements_in_a_circle(
    shop: Shop, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.offer(
        as_sdist("a", "1.0", project("a", build_requires=["b"])),
        as_sdist("b", "1.0", project("b", dynamic=["c"])),
        as_sdist("c", "1.0", project("c", build_requires=["a"])),
    )
    assert shop.run("install", venv, "a") == 1
    said = capsys.readouterr().err
    assert "a 1.0 needs b 1.0, which needs c 1.0, which needs a 1.0 itself" in said
    assert shop.left_behind() == []


def test_a_build_requirement_that_is_nowhere(
    shop: Shop, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.offer(as_sdist("spam", "1.0", project("spam", build_requires=["nowhere>=3"])))
    assert shop.run("install", venv, "spam") == 1
    said = capsys.readouterr().err
    assert "nowhere" in said
    assert "spam 1.0" in said


def test_build_requirements_that_exclude_each_other(
    shop: Shop, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.offer(
        wheel("helper", "1.0"),
        wheel("helper", "2.0"),
        as_sdist("spam", "1.0", project("spam", build_requires=["helper<2"], dynamic=["helper>1"])),
    )
    assert shop.run("install", venv, "spam") == 1
    said = capsys.readouterr().err
    assert "helper<2" in said
    assert "helper>1" in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("[build-system]\n", "without requires", id="no requires"),
        pytest.param("[build-system]\nrequires = 'x'\n", "no list", id="requires is text"),
        pytest.param("[build-system]\nrequires = ['a b']\n", "a b", id="no requirement"),
        pytest.param("[build-system\n", "cannot be read", id="no TOML"),
        pytest.param(
            "[build-system]\nrequires = []\nbuild-backend = 'x'\nbackend-path = ['..']\n",
            "backend-path",
            id="backend-path leads out",
        ),
        pytest.param(
            "[build-system]\nrequires = []\nbuild-backend = 'nothing.there'\n",
            "nothing.there",
            id="no such backend",
        ),
    ],
)
def test_a_pyproject_that_cannot_be_used(
    shop: Shop, venv: Venv, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    folder = write_project(tmp_path / "spam", {"pyproject.toml": text})
    assert shop.run("install", venv, folder) == 1
    assert told in capsys.readouterr().err


def test_a_digest_is_compared_before_anything_runs(shop: Shop, venv: Venv, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w')\n"
    archive = as_sdist("spam", "1.0", project("spam", code=code))
    shop.offer(archive)
    listed = _listing(tmp_path, f"spam==1.0 --hash=sha256:{'0' * 64}")
    assert shop.run("install", venv, "-r", listed) == 1
    assert not mark.exists()
    assert (
        shop.run("install", venv, "-r", _listing(tmp_path, f"spam==1.0 {archive.hash_option}")) == 0
    )
    assert mark.exists()


def test_a_source_of_another_version_is_passed_over(
    shop: Shop, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.offer(
        as_sdist("spam", "1.0", project("spam", "1.0")),
        as_sdist("spam", "2.0", project("spam", "3.0")),
    )
    assert shop.run("install", venv, "spam") == 0
    assert venv.versions() == {"spam": "1.0"}
    assert "spam-2.0.tar.gz" in capsys.readouterr().err


def test_a_failed_build_names_the_version_that_needs_none(
    shop: Shop, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = project("spam", "2.0", code="raise SystemExit('no')\n")
    shop.offer(wheel("spam", "1.0"), as_sdist("spam", "2.0", bad))
    assert shop.run("install", venv, "spam") == 1
    assert "chooses 1.0" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------
# What a build sees, and what is told of it


def test_what_the_children_see(shop: Shop, venv: Venv, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    import ssl, sys\n"
        "    context = ssl.create_default_context()\n"
        "    names = [dict(x[0] for x in one['subject']) for one in context.get_ca_certs()]\n"
        "    seen = {'env': dict(os.environ), 'names': names, 'path': sys.path}\n"
        "    return _wheel(folder, {'spam.json': json.dumps(seen)})\n"
    )
    shop.offer(as_sdist("spam", "1.0", project("spam", code=code)))
    outcome = shop.run(
        "install",
        venv,
        "spam",
        PIP_EXTRA_INDEX_URL=shop.index_url.replace("://", "://me:hunter2@"),
        HTTPS_PROXY="",
        NO_PROXY="localhost,other.example",
        PYTHONPATH="/nowhere/at/all",
        SSL_CERT_FILE="/etc/passwd",
    )
    assert outcome == 0
    seen = json.loads((venv.site / "spam.json").read_text())
    env = seen["env"]
    assert "hunter2" not in json.dumps(env)
    assert env["PIP_EXTRA_INDEX_URL"] == shop.index_url
    assert env["NO_PROXY"] == "localhost,other.example"
    assert "PYTHONPATH" not in env
    assert "/nowhere/at/all" not in seen["path"]
    # The decided trust, and nothing else, for OpenSSL as for everybody.
    (name,) = seen["names"]
    assert f"CN={name['commonName']}" in shop.authority.subject
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "SSL_CERT_FILE"):
        assert env[name].endswith("anchors.pem")
    assert not Path(env["PIP_CERT"]).exists()  # gone with the run


def test_output_is_shown_with_v_and_on_failure_only(
    shop: Shop, venv: Venv, another: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "print('so it speaks'); import warnings; warnings.warn('and warns')\n"
    shop.offer(as_sdist("spam", "1.0", project("spam", code=code)))
    assert shop.run("install", venv, "spam", "--no-cache-dir") == 0
    assert "speaks" not in capsys.readouterr().err
    assert shop.run("install", another, "spam", "-v", "--no-cache-dir") == 0
    said = capsys.readouterr()
    assert "so it speaks" in said.err
    assert said.out == ""


def test_no_clean_keeps_the_folders(
    shop: Shop, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.offer(as_sdist("spam", "1.0", project("spam")))
    assert shop.run("install", venv, "spam", "--no-clean") == 0
    (kept,) = shop.left_behind()
    assert str(kept) in capsys.readouterr().err
    assert list(kept.rglob("tiny.py"))


def test_the_report_tells_where_a_folder_came_from(
    shop: Shop, venv: Venv, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_project(tmp_path / "spam", project("spam"))
    archive = as_sdist("eggs", "1.0", project("eggs")).write(tmp_path)
    assert shop.run("install", venv, "--dry-run", "--report", "-", "-e", folder, archive) == 0
    entries = {
        entry["metadata"]["name"]: entry["download_info"]
        for entry in json.loads(capsys.readouterr().out)["install"]
    }
    assert entries["spam"] == {"url": folder.as_uri(), "dir_info": {"editable": True}}
    assert set(entries["eggs"]["archive_info"]["hashes"]) == {"sha256"}
    assert venv.versions() == {}


def test_downloading_saves_the_source_itself(shop: Shop, venv: Venv, tmp_path: Path) -> None:
    archive = as_sdist("spam", "1.0", project("spam", requires=["inner"]))
    shop.offer(archive, wheel("inner"))
    words = ("-i", shop.index_url, "-d", tmp_path / "saved", "spam")
    assert shop.run("download", venv, *words) == 0
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "inner-1.0-py3-none-any.whl",
        "spam-1.0.tar.gz",
    ]
    assert (tmp_path / "saved/spam-1.0.tar.gz").read_bytes() == archive.data


def test_two_are_built_at_once(shop: Shop, venv: Venv, tmp_path: Path) -> None:
    """Each waits for the other: one after the other would not end well."""
    code = (
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    import time\n"
        f"    marks = [os.path.join({str(tmp_path)!r}, name) for name in ('left', 'right')]\n"
        f"    open(os.path.join({str(tmp_path)!r}, NAME), 'w').close()\n"
        "    for _ in range(2400):\n"
        "        if all(map(os.path.exists, marks)):\n"
        "            return _wheel(folder, _sources())\n"
        "        time.sleep(0.05)\n"
        "    raise SystemExit('alone')\n"
    )
    for name in ("left", "right"):
        shop.offer(as_sdist(name, "1.0", project(name, code=code)))
    assert shop.run("install", venv, "left", "right") == 0
    assert venv.versions() == {"left": "1.0", "right": "1.0"}


def test_several_are_built_and_all_or_none_installed(shop: Shop, venv: Venv) -> None:
    names = [f"part{number}" for number in range(6)]
    shop.offer(*(as_sdist(name, "1.0", project(name)) for name in names))
    assert shop.run("install", venv, *names) == 0
    assert venv.versions() == dict.fromkeys(names, "1.0")
