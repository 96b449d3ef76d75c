"""What joining the layers must keep: when to connect, what to cache, what to tell."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kedge.cache import open_cache
from support.indexes import HTML_TYPE, JSON_TYPE, SimpleIndex
from support.pki import Authority
from support.servers import Request, Response, Server
from support.venvs import Kedge, Outcome, Venv
from support.wheels import wheel

Run = Callable[..., int]


def cached(cache: Path) -> set[str]:
    return {f"{wheel.name} {wheel.version}" for wheel in open_cache(cache).list()}


def files_fetched(server: Server) -> list[str]:
    return [path for path in server.paths if path.endswith(".whl")]


def test_a_second_environment_needs_no_file_again(
    run: Run, server: Server, bundle: Path, venv: Venv, another: Venv
) -> None:
    assert run("install", venv, "outer", "--cert", bundle) == 0
    assert len(files_fetched(server)) == 2
    server.forget()
    assert run("install", another, "outer", "--cert", bundle) == 0
    assert files_fetched(server) == []
    assert another.versions() == venv.versions() == {"outer": "1.0", "inner": "2.0"}


def test_a_file_on_this_machine_is_unpacked_once(
    run: Run, venv: Venv, another: Venv, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = wheel("local").write(tmp_path / "wheels")
    for environment, unpacks in ((venv, True), (another, False)):
        assert run("install", environment, archive, "--no-index", "-vv") == 0
        told = capsys.readouterr().err.partition("Time, summed over threads: ")[2].splitlines()[0]
        assert ("unpack" in told) is unpacks
    assert another.versions() == {"local": "1.0"}


def test_the_phases_are_timed_for_whoever_asks(
    run: Run, bundle: Path, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("install", venv, "outer", "--cert", bundle, "-vv", "--compile") == 0
    told = capsys.readouterr().err.partition("Time, summed over threads: ")[2].splitlines()[0]
    phases = " ".join(re.findall(r"([a-z]+) \d+\.\d\d s", told))
    assert phases == "libraries trust pages resolve download unpack compile link"


def test_what_is_installed_is_found_without_a_connection(
    run: Run, index: SimpleIndex, private_ca: Authority, bundle: Path, venv: Venv
) -> None:
    run("install", venv, "outer", "--cert", bundle)
    # To the first server something that looked ahead may still be connecting.
    with Server(index, certificate=private_ca.leaf("localhost")) as other:
        # Not even the bundle is looked at: nothing will be asked of anybody.
        words = ["-i", f"{other.url}/simple/", "--cert", "/nowhere/at-all.pem"]
        assert run("install", venv, "outer", *words) == 0
        assert other.connections == 0


def test_what_no_longer_fits_beside_what_was_chosen_is_told(
    run: Run, index: SimpleIndex, bundle: Path, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    index.add(wheel("strict", requires=["inner<2", "outer; python_version>'3'"]))
    assert run("install", venv, "strict", "--cert", bundle) == 0
    assert "requires" not in capsys.readouterr().err
    assert run("install", venv, "inner==2", "--cert", bundle) == 0
    assert "strict 1.0 requires inner<2, but inner 2.0 is installed." in capsys.readouterr().err


class TestDamage:
    def test_a_damaged_entry_is_fetched_again(
        self, run: Run, server: Server, bundle: Path, venv: Venv, another: Venv, cache: Path
    ) -> None:
        run("install", venv, "inner", "--cert", bundle, "--link-mode", "copy")
        [damaged] = cache.rglob("inner/__init__.py")
        damaged.write_text("raise SystemExit('damaged')\n")
        server.forget()
        assert run("install", another, "inner", "--cert", bundle) == 0
        assert len(files_fetched(server)) == 1
        assert another.run("-c", "import inner; print(inner.__version__)").strip() == "2.0"

    @pytest.mark.parametrize("left", [None, b"", b"Name: else\nVersion: 9\n"])
    def test_so_is_one_whose_metadata_is_damaged(
        self,
        run: Run,
        server: Server,
        bundle: Path,
        venv: Venv,
        another: Venv,
        cache: Path,
        left: bytes | None,
    ) -> None:
        """A power cut leaves empty files, and a purge beside an install none."""
        run("install", venv, "inner", "--cert", bundle, "--link-mode", "copy")
        [metadata] = cache.rglob("inner-2.0.dist-info/METADATA")
        metadata.unlink()
        if left is not None:
            metadata.write_bytes(left)
        server.forget()
        assert run("install", another, "inner", "--cert", bundle) == 0
        assert len(files_fetched(server)) == 1
        assert another.versions() == {"inner": "2.0"}


class TestHostilePages:
    """What a page says must not look like a defect of kedge, nor pass for kedge's own words."""

    @pytest.mark.parametrize(
        "entry",
        [
            {"filename": f"inner-{'9' * 5000}-py3-none-any.whl", "url": "/x"},
            {"filename": f"inner-9-{'9' * 5000}-py3-none-any.whl", "url": "/x"},
            {"filename": "inner-9-py3-none-any.whl", "url": "file:///inner-9-py3-none-any.whl"},
            {"filename": "inner-9-py3-none-any.whl", "url": "javascript:x/inner-9.whl"},
        ],
        ids=["endless version", "endless build", "file", "script"],
    )
    def test_a_file_that_cannot_be_meant_is_passed_over(
        self, run: Run, index: SimpleIndex, bundle: Path, venv: Venv, entry: dict[str, str]
    ) -> None:
        good = index.files[-1]
        body = {
            "meta": {"api-version": "1.0"},
            "files": [
                {"hashes": {}, **entry},
                {"filename": good.filename, "url": f"/files/{good.filename}", "hashes": {}},
            ],
        }
        index.pages["inner"] = Response(
            body=json.dumps(body).encode(), headers={"Content-Type": JSON_TYPE}
        )
        assert run("install", venv, "inner", "--cert", bundle) == 0
        assert venv.versions() == {"inner": "2.0"}

    @pytest.mark.parametrize(
        "requirement", [f"other>={'9' * 5000}", f"other; python_version > '{'9' * 5000}'"]
    )
    def test_an_endless_number_in_a_requirement(
        self,
        run: Run,
        index: SimpleIndex,
        bundle: Path,
        venv: Venv,
        requirement: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        index.add(wheel("inner", "3.0", requires=[requirement]), wheel("other"))
        assert run("install", venv, "inner==3.0", "--cert", bundle) == 1
        assert run("install", venv, requirement, "--cert", bundle) == 1
        assert "bug in kedge" not in capsys.readouterr().err

    def test_what_is_nested_too_deeply(
        self,
        run: Run,
        index: SimpleIndex,
        bundle: Path,
        venv: Venv,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        index.pages["inner"] = Response(body=b"[" * 200_000, headers={"Content-Type": JSON_TYPE})
        assert run("install", venv, "inner", "--cert", bundle) == 1
        assert "not-an-index" in capsys.readouterr().err

    @pytest.mark.parametrize("style", ["json", "html"])
    def test_an_endless_version_of_the_page(
        self, run: Run, index: SimpleIndex, bundle: Path, venv: Venv, style: str
    ) -> None:
        stated = f"1.{'9' * 5000}"
        url = "/files/inner-2.0-py3-none-any.whl"
        files = [{"filename": url.rpartition("/")[2], "url": url, "hashes": {}}]
        body, kind = json.dumps({"meta": {"api-version": stated}, "files": files}), JSON_TYPE
        if style == "html":
            meta = f'<meta name="pypi:repository-version" content="{stated}">'
            body, kind = f'{meta}<a href="{url}">inner</a>', HTML_TYPE
        headers = {"Content-Type": kind, "Cache-Control": "max-age=60", "Age": "9" * 5000}
        index.pages["inner"] = Response(body=body.encode(), headers=headers)
        assert run("install", venv, "inner", "--cert", bundle) == 0
        assert venv.versions() == {"inner": "2.0"}

    def test_a_reason_passes_for_nothing_else(
        self,
        run: Run,
        index: SimpleIndex,
        bundle: Path,
        venv: Venv,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        index.yanked = {file.filename: "bad\n\nhint: run this" for file in index.files}
        for style in ("json", "html"):
            index.style = style
            assert run("install", venv, "inner", "--cert", bundle, "--no-cache-dir") == 1
            said = capsys.readouterr().err
            assert "bad hint: run this" in said
            assert "\nhint: run this" not in said


class TestSecretParameters:
    """A token in a URL's query is sent where it belongs, and neither told nor kept."""

    SECRET = "hush-hush-hush"

    def secrets_in(self, *folders: Path) -> list[Path]:
        found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return [path for path in found if self.SECRET.encode() in path.read_bytes()]

    def test_of_a_file(
        self,
        run: Run,
        server: Server,
        bundle: Path,
        venv: Venv,
        cache: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        listed, report = tmp_path / "requirements.txt", tmp_path / "report.json"
        url = f"{server.url}/files/inner-2.0-py3-none-any.whl?n=1&Private-Token={self.SECRET}"
        listed.write_text(f"inner @ {url}\n")
        words = ["--cert", bundle, "-vvv", "--report", report, "--log", tmp_path / "log"]
        assert run("install", venv, "-r", listed, *words) == 0
        assert server.requests[0].parts.query == f"n=1&Private-Token={self.SECRET}"
        assert run("freeze", venv) == 0
        said = capsys.readouterr()
        assert self.SECRET not in said.out + said.err
        assert "?n=1&Private-Token=****" in said.err
        assert f"{url.partition('?')[0]}?n=1#sha256=" in said.out
        listed.unlink()
        assert self.secrets_in(tmp_path) == []

    @pytest.mark.parametrize("word", ["-r", ""], ids=["list", "file"])
    def test_of_what_is_not_there(
        self,
        run: Run,
        server: Server,
        bundle: Path,
        venv: Venv,
        word: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        url = f"{server.url}/gone/inner-2.0-py3-none-any.whl?sig={self.SECRET}"
        words = [word, url] if word else [url]
        assert run("install", venv, *words, "--cert", bundle, "-vvv", "--debug") == 1
        said = capsys.readouterr()
        assert self.SECRET not in said.out + said.err
        assert "?sig=**** answered 404" in said.err


class TestUnverified:
    """What nothing trusted vouches for is installed, as the user asked, and not kept."""

    def test_is_not_cached(
        self, run: Run, server: Server, venv: Venv, cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("install", venv, "outer", "--trusted-host", "127.0.0.1") == 1
        assert run("install", venv, "outer", "--trusted-host", "localhost") == 0
        assert venv.versions() == {"outer": "1.0", "inner": "2.0"}
        assert cached(cache) == set()
        assert open_cache(cache).info().pages == 0
        assert open_cache(cache).info().metadata == 0
        assert "localhost" in capsys.readouterr().err

    def test_is_cached_under_the_users_own_digest(
        self, run: Run, index: SimpleIndex, venv: Venv, cache: Path, tmp_path: Path
    ) -> None:
        inner = next(file for file in index.files if file.filename.startswith("inner-2"))
        listed = tmp_path / "requirements.txt"
        listed.write_text(f"inner==2.0 {inner.hash_option}\n")
        assert run("install", venv, "-r", listed, "--trusted-host", "localhost") == 0
        assert cached(cache) == {"inner 2.0"}

    def test_does_not_make_a_cached_file_of_a_verified_page_suspect(
        self, run: Run, server: Server, bundle: Path, venv: Venv, another: Venv
    ) -> None:
        run("install", venv, "inner", "--cert", bundle)
        server.forget()
        # The page is not verified now, so its word for a digest is not taken.
        assert run("install", another, "inner", "--trusted-host", "localhost") == 0
        assert len(files_fetched(server)) == 1


class TestRequirementsFiles:
    def test_name_the_index_and_the_trusted_host(
        self, run: Run, server: Server, venv: Venv, tmp_path: Path
    ) -> None:
        listed = tmp_path / "requirements.txt"
        listed.write_text(f"--index-url {server.url}/simple/\n--trusted-host localhost\ninner<2\n")
        assert run("install", venv, "-r", listed, "-i", "https://127.0.0.1:9/simple") == 0
        assert venv.versions() == {"inner": "1.0"}

    def test_may_lie_on_the_server_itself(
        self, run: Run, server: Server, index: SimpleIndex, bundle: Path, venv: Venv
    ) -> None:
        index.pages["asked"] = Response(200, b"inner==1.0\n", {"Content-Type": "text/plain"})
        url = f"{server.url}/simple/asked/"
        assert run("install", venv, "-r", url, "--cert", bundle) == 0
        assert venv.versions() == {"inner": "1.0"}


class TestDryRun:
    def test_changes_nothing_and_prints_what_a_constraints_file_takes(
        self,
        run: Run,
        bundle: Path,
        venv: Venv,
        cache: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        before = venv.snapshot()
        assert run("install", venv, "outer", "--cert", bundle, "--dry-run") == 0
        assert capsys.readouterr().out.splitlines() == ["inner==2.0", "outer==1.0"]
        assert venv.snapshot() == before
        assert cached(cache) == set()


class TestReport:
    @pytest.fixture(params=["--dry-run", None], ids=["dry", "for-good"])
    def report(
        self,
        request: pytest.FixtureRequest,
        run: Run,
        bundle: Path,
        venv: Venv,
        capsys: pytest.CaptureFixture[str],
    ) -> dict[str, object]:
        dry = [request.param] if request.param else []
        assert run("install", venv, "outer", "--cert", bundle, "--report", "-", "-q", *dry) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    def test_has_pips_form(self, report: dict[str, object], index: SimpleIndex) -> None:
        assert report["version"] == "1"
        entries = {entry["metadata"]["name"]: entry for entry in report["install"]}  # type: ignore[attr-defined]
        assert set(entries) == {"outer", "inner"}
        assert entries["outer"]["requested"] is True
        assert entries["inner"]["requested"] is False
        assert entries["outer"]["metadata"]["requires_dist"] == ["inner"]
        inner = next(file for file in index.files if file.filename.startswith("inner-2"))
        info = entries["inner"]["download_info"]
        assert info["archive_info"]["hashes"] == {"sha256": inner.sha256}
        assert info["url"].endswith(inner.filename)

    def test_says_what_was_trusted(self, report: dict[str, object], bundle: Path) -> None:
        trust = report["kedge"]["trust"]  # type: ignore[index]
        assert [source["path"] for source in trust["sources"]] == [str(bundle)]
        assert "--cert" in trust["sources"][0]["origin"]


class TestMeanwhile:
    def test_another_installs_into_the_same_environment(
        self,
        run: Run,
        server: Server,
        index: SimpleIndex,
        bundle: Path,
        venv: Venv,
        clean_environ: dict[str, str],
    ) -> None:
        others: list[Outcome] = []
        turn = threading.Lock()  # the search and what looks ahead of it may ask at the same time

        def interrupted(request: Request) -> Response:
            if request.path.startswith("/files/outer"):
                with turn:
                    if not others:
                        words = ("inner==1.0", "-i", f"{server.url}/simple/", "--cert", bundle)
                        others.append(Kedge(clean_environ, python=venv)("install", *words))
            return index(request)

        server.handler = interrupted
        assert run("install", venv, "outer", "--cert", bundle, "--timeout", "600") == 0
        [other] = others
        other.succeeded()
        # The first had chosen inner 2.0, for an environment that is no more.
        assert venv.versions() == {"outer": "1.0", "inner": "1.0"}


class TestDirectUrls:
    def test_freeze_gives_back_what_can_be_installed(
        self,
        run: Run,
        server: Server,
        index: SimpleIndex,
        bundle: Path,
        venv: Venv,
        another: Venv,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        inner = next(file for file in index.files if file.filename.startswith("inner-2"))
        url = f"{server.url}/files/{inner.filename}#sha256={inner.sha256}"
        assert run("install", venv, f"inner @ {url}", "--cert", bundle) == 0
        capsys.readouterr()
        assert run("freeze", venv) == 0
        frozen = capsys.readouterr().out
        assert frozen == f"inner @ {url}\n"
        listed = tmp_path / "frozen.txt"
        listed.write_text(frozen)
        assert run("install", another, "-r", listed, "--cert", bundle) == 0
        assert another.versions() == {"inner": "2.0"}

    def test_a_digest_that_is_none_is_a_mismatch(
        self,
        run: Run,
        server: Server,
        bundle: Path,
        venv: Venv,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        url = f"{server.url}/files/inner-2.0-py3-none-any.whl#sha256=zz"
        assert run("install", venv, f"inner @ {url}", "--cert", bundle) == 1
        said = capsys.readouterr().err
        assert "zz" in said
        assert "bug in kedge" not in said
        assert venv.versions() == {}


class TestReportText:
    def test_names_keep_their_letters(self) -> None:
        from kedge.pipeline.report import metadata_as_json

        data = "Name: spam\nAuthor-Email: Łukasz <l@example.org>\n\nGrüße\n".encode()
        found = metadata_as_json(data)
        assert found["author_email"] == "Łukasz <l@example.org>"
        assert found["description"] == "Grüße\n"


class TestMetadataThatLies:
    def test_a_wheel_that_requires_more_than_its_index_said(
        self, run: Run, index: SimpleIndex, bundle: Path, venv: Venv
    ) -> None:
        honest = next(file for file in index.files if file.filename.startswith("outer"))
        said = wheel("outer", requires=[]).metadata
        index.files.remove(honest)
        index.add(replace(honest, metadata=said))
        assert run("install", venv, "outer", "--cert", bundle) == 1
        assert venv.versions() == {}


def test_a_password_in_an_argument_is_not_printed(
    run: Run, server: Server, bundle: Path, venv: Venv, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{server.url.replace('//', '//ana:hunter2@')}/files/none-1.0-py3-none-any.whl"
    assert run("install", venv, f"none @ {url}", "--cert", bundle, "-vv") == 1
    assert "hunter2" not in capsys.readouterr().err


def test_what_is_not_kept_is_compiled_wherever_temporary_files_are(
    run: Run, venv: Venv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cache goes with the run, and may lie on another file system than the lasting one."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("no second file system: /dev/shm is missing")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        words = ["outer", "--trusted-host", "localhost", "--compile"]
        assert run("install", venv, *words) == 0
    assert list(venv.site.glob("outer/__pycache__/*.pyc"))
