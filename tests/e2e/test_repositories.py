"""Projects from git repositories: over TLS under the decided trust, by proxy, with credentials."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.backends import project
from support.indexes import SimpleIndex
from support.pki import Authority, authority
from support.proxies import Proxy, mitmproxy
from support.repositories import Repo, git_http
from support.servers import Server, with_basic_auth
from support.venvs import Kedge, Venv
from support.wheels import wheel

pytestmark = pytest.mark.tool("git")


@dataclass(frozen=True)
class Forge:
    """A TLS server of repositories: ``demo`` at 2.0, its tag ``v1`` and branch ``old`` at 1.0."""

    server: Server
    root: Path
    demo: Repo

    @property
    def url(self) -> str:
        return f"git+{self.server.url}/demo.git"


@pytest.fixture
def forge(private_ca: Authority, tmp_path: Path) -> Iterator[Forge]:
    root = tmp_path / "repos"
    demo = Repo(root / "demo.git")
    demo.commit(project("demo", "1.0"))
    demo.git("tag", "v1")
    demo.git("branch", "old")
    demo.commit(project("demo", "2.0"))
    with Server(git_http(root), certificate=private_ca.leaf("localhost")) as server:
        yield Forge(server, root, demo)


@pytest.fixture
def git_kedge(plain_kedge: Kedge, bundle: Path) -> Kedge:
    return plain_kedge.having("--no-index", PIP_CERT=str(bundle))


def direct_url(venv: Venv, name: str = "demo") -> dict[str, object]:
    found: dict[str, object] = json.loads((venv.dist_info(name) / "direct_url.json").read_text())
    return found


def uninstall(kedge: Kedge) -> None:
    """Without the words that only an install takes."""
    Kedge(kedge.environ, python=kedge.python)("uninstall", "-y", "demo").succeeded()


class TestInstalling:
    @pytest.mark.parametrize(
        ("revision", "version"), [("", "2.0"), ("@v1", "1.0"), ("@old", "1.0"), ("@main", "2.0")]
    )
    def test_a_revision(
        self, git_kedge: Kedge, target: Venv, forge: Forge, revision: str, version: str
    ) -> None:
        git_kedge("install", f"demo @ {forge.url}{revision}").succeeded()
        assert target.versions() == {"demo": version}
        commit = forge.demo.git("rev-parse", revision[1:] or "HEAD")
        info = {"vcs": "git", "commit_id": commit}
        if revision:
            info["requested_revision"] = revision[1:]
        assert direct_url(target) == {"url": f"{forge.server.url}/demo.git", "vcs_info": info}

    def test_without_a_name_or_with_an_egg(
        self, git_kedge: Kedge, target: Venv, forge: Forge
    ) -> None:
        git_kedge("install", forge.url).succeeded()
        assert target.versions() == {"demo": "2.0"}
        git_kedge("install", f"{forge.url}@v1#egg=demo").succeeded()
        assert target.versions() == {"demo": "1.0"}

    def test_of_another_name(self, git_kedge: Kedge, target: Venv, forge: Forge) -> None:
        git_kedge("install", f"other @ {forge.url}").failed(saying=["other", "demo"])
        assert target.versions() == {}

    def test_a_subdirectory(self, git_kedge: Kedge, target: Venv, forge: Forge) -> None:
        files = project("inner", "3.0")
        forge.demo.commit({f"lib/py/{name}": text for name, text in files.items()})
        git_kedge("install", f"inner @ {forge.url}#subdirectory=lib/py").succeeded()
        assert target.versions() == {"inner": "3.0"}
        assert direct_url(target, "inner")["subdirectory"] == "lib/py"
        git_kedge("install", f"inner @ {forge.url}#subdirectory=../..").failed()

    def test_from_a_requirements_file_with_its_dependencies(
        self, plain_kedge: Kedge, target: Venv, forge: Forge, tmp_path: Path, bundle: Path
    ) -> None:
        forge.demo.commit(project("demo", "3.0", requires=["other"]))
        index = SimpleIndex([wheel("other", "1.0")])
        (tmp_path / "r.txt").write_text(f"demo @ {forge.url} ; python_version > '3'\n")
        with Server(index) as server:
            words = ("-r", tmp_path / "r.txt", "-i", f"{server.url}/simple/", "--cert", bundle)
            plain_kedge("install", *words).succeeded()
        assert target.versions() == {"demo": "3.0", "other": "1.0"}

    def test_a_dependency_may_be_one(
        self, git_kedge: Kedge, target: Venv, forge: Forge, tmp_path: Path
    ) -> None:
        path = wheel("app", "1.0", requires=[f"demo @ {forge.url}@v1"]).write(tmp_path)
        git_kedge("install", path).succeeded()
        assert target.versions() == {"app": "1.0", "demo": "1.0"}

    def test_a_whole_commit_is_built_once(
        self, git_kedge: Kedge, target: Venv, forge: Forge
    ) -> None:
        commit = forge.demo.git("rev-parse", "v1")
        git_kedge("install", f"demo @ {forge.url}@{commit}").succeeded()
        uninstall(git_kedge)
        forge.server.forget()
        done = git_kedge("install", f"demo @ {forge.url}@{commit}").succeeded()
        assert forge.server.paths == []
        assert "Building" not in done.stderr
        assert direct_url(target)["vcs_info"] == {
            "vcs": "git",
            "commit_id": commit,
            "requested_revision": commit,
        }
        git_kedge("install", "--force-reinstall", f"demo @ {forge.url}@v1").succeeded()
        assert forge.server.paths

    def test_freeze_and_back(self, git_kedge: Kedge, target: Venv, forge: Forge) -> None:
        git_kedge("install", f"demo @ {forge.url}@v1").succeeded()
        frozen = Kedge(git_kedge.environ, python=target)("freeze").succeeded().stdout.strip()
        assert frozen == f"demo @ {forge.url}@{forge.demo.git('rev-parse', 'v1')}"
        uninstall(git_kedge)
        git_kedge("install", frozen).succeeded()
        assert target.versions() == {"demo": "1.0"}

    def test_hash_checking_does_not_take_one(
        self, git_kedge: Kedge, target: Venv, forge: Forge
    ) -> None:
        git_kedge("install", "--require-hashes", f"demo @ {forge.url}@v1").failed()
        assert target.versions() == {}

    def test_a_lock_names_its_commit(
        self, git_kedge: Kedge, target: Venv, forge: Forge, tmp_path: Path
    ) -> None:
        commit = forge.demo.git("rev-parse", "v1")
        other = wheel("other", "1.0")
        path = other.write(tmp_path)
        (tmp_path / "pylock.toml").write_text(
            'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "demo"\n'
            f'vcs = {{type = "git", url = "{forge.server.url}/demo.git", commit-id = "{commit}"}}\n'
            '[[packages]]\nname = "other"\nversion = "1.0"\n[[packages.wheels]]\n'
            f'path = "{path.name}"\nhashes = {{sha256 = "{other.sha256}"}}\n'
        )
        git_kedge("install", "-r", tmp_path / "pylock.toml").succeeded()
        assert target.versions() == {"demo": "1.0", "other": "1.0"}

    def test_a_dry_run_leaves_nothing(self, git_kedge: Kedge, target: Venv, forge: Forge) -> None:
        before = target.snapshot()
        done = git_kedge("install", "--dry-run", "-e", f"{forge.url}#egg=demo").succeeded()
        assert done.stdout.split() == ["demo==2.0"]
        assert target.snapshot() == before
        assert git_kedge.cwd is not None
        assert list(git_kedge.cwd.iterdir()) == []

    def test_the_report_tells_the_commit(self, git_kedge: Kedge, forge: Forge) -> None:
        done = git_kedge("install", "--dry-run", "--report", "-", f"{forge.url}@v1").succeeded()
        (entry,) = json.loads(done.stdout)["install"]
        assert entry["download_info"]["vcs_info"]["commit_id"] == forge.demo.git("rev-parse", "v1")


class TestDownloading:
    def test_as_a_zip_file(
        self, git_kedge: Kedge, target: Venv, forge: Forge, tmp_path: Path
    ) -> None:
        git_kedge("download", f"{forge.url}@v1", "-d", tmp_path / "d").succeeded()
        (path,) = (tmp_path / "d").iterdir()
        assert path.name == "demo-1.0.zip"
        assert any(name.endswith("/pyproject.toml") for name in zipfile.ZipFile(path).namelist())
        git_kedge("install", path).succeeded()
        assert target.versions() == {"demo": "1.0"}


class TestEditing:
    def test_is_checked_out_beside_the_environment(
        self, git_kedge: Kedge, target: Venv, forge: Forge
    ) -> None:
        git_kedge("install", "-e", f"{forge.url}@old#egg=demo").succeeded()
        folder = target.path / "src" / "demo"
        assert target.versions() == {"demo": "1.0"}
        assert direct_url(target) == {"url": folder.as_uri(), "dir_info": {"editable": True}}
        frozen = Kedge(git_kedge.environ, python=target)("freeze").succeeded().stdout
        assert f"-e {forge.url}@{forge.demo.git('rev-parse', 'old')}#egg=demo" in frozen

    def test_elsewhere_by_src_and_named_by_its_requirement(
        self, git_kedge: Kedge, target: Venv, forge: Forge, tmp_path: Path
    ) -> None:
        words = ("--src", tmp_path / "here", "-e", f"demo @ {forge.url}")
        git_kedge("install", *words).succeeded()
        assert (tmp_path / "here" / "demo" / ".git").is_dir()
        assert target.versions() == {"demo": "2.0"}

    def test_again_brings_it_up_to_date(self, git_kedge: Kedge, target: Venv, forge: Forge) -> None:
        git_kedge("install", "-e", f"{forge.url}@main#egg=demo").succeeded()
        forge.demo.commit(project("demo", "4.0"))
        git_kedge("install", "-e", f"{forge.url}@main#egg=demo").succeeded()
        assert target.versions() == {"demo": "4.0"}

    @pytest.mark.parametrize("action", ["", "s", "i", "w", "b", "a"])
    def test_something_else_is_there(
        self, git_kedge: Kedge, target: Venv, forge: Forge, action: str
    ) -> None:
        other = Repo(forge.root / "other.git")
        other.commit(project("demo", "9.0"))
        git_kedge("install", "-e", f"{forge.url}#egg=demo").succeeded()
        src = target.path / "src"
        words = ("-e", f"git+{forge.server.url}/other.git#egg=demo")
        more = ("--exists-action", action) if action else ()
        done = git_kedge("install", *words, *more)
        if action in ("", "a"):
            done.failed(saying=["--exists-action", str(src / "demo")])
        else:
            done.succeeded()
        expected = {"s": "9.0", "i": "2.0", "w": "9.0", "b": "9.0"}.get(action, "2.0")
        assert target.versions() == {"demo": expected}
        assert {path.name for path in src.iterdir()} == (
            {"demo", "demo.bak"} if action == "b" else {"demo"}
        )


class TestTrust:
    """A private authority and no way round it."""

    @pytest.mark.parametrize("way", ["--cert", "PIP_CERT", "truststore", "file", "trusted-host"])
    def test_each_setting_alone(
        self, plain_kedge: Kedge, target: Venv, forge: Forge, bundle: Path, way: str, tmp_path: Path
    ) -> None:
        kedge = plain_kedge.having("--no-index")
        kedge("install", forge.url).failed(saying=[forge.server.url])
        assert forge.server.asked == []
        match way:
            case "--cert":
                kedge = kedge.having("--cert", bundle)
            case "PIP_CERT":
                kedge = kedge.having(PIP_CERT=str(bundle))
            case "truststore":
                kedge = kedge.having("--use-feature=truststore", SSL_CERT_FILE=str(bundle))
            case "file":
                (tmp_path / "pip.conf").write_text(f"[global]\ncert = {bundle}\n")
                kedge = kedge.having(PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
            case _:
                kedge = kedge.having("--trusted-host", "localhost")
        kedge("install", forge.url).succeeded()
        assert target.versions() == {"demo": "2.0"}

    def test_another_authority_will_not_do(
        self, plain_kedge: Kedge, target: Venv, forge: Forge, bundle: Path, stranger_bundle: Path
    ) -> None:
        """What git would trust on its own does not count: the decision does."""
        kedge = plain_kedge.having(
            "--no-index", "--cert", stranger_bundle, GIT_SSL_CAINFO=str(bundle)
        )
        kedge("install", forge.url).failed()
        assert forge.server.asked == []

    def test_a_refused_one_is_reported_with_its_cause_and_a_remedy(
        self, plain_kedge: Kedge, target: Venv, forge: Forge, bundle: Path
    ) -> None:
        """As for an index: the words of a program would not tell what to do."""
        done = plain_kedge.having("--no-index")("install", "-v", forge.url)
        done.failed(saying=["untrusted-root", "trust show -v", "git ended with"])
        assert forge.server.asked == []

    def test_a_failure_behind_a_good_connection_stays_what_it_is(
        self, git_kedge: Kedge, forge: Forge, tmp_path: Path
    ) -> None:
        """kedge has asked the server itself then, and as a stranger."""
        netrc = tmp_path / "netrc"
        netrc.write_text("machine localhost login me password secret\n")
        netrc.chmod(0o600)
        kedge = git_kedge.having(NETRC=str(netrc))
        done = kedge("install", f"git+{forge.server.url}/gone.git").failed(saying=["gone.git"])
        assert "certificate" not in done.stderr
        assert "/" in forge.server.paths
        assert all(request.credentials is None for request in forge.server.asked)

    def test_what_came_unverified_is_not_kept(
        self, plain_kedge: Kedge, target: Venv, forge: Forge
    ) -> None:
        kedge = plain_kedge.having("--no-index", "--trusted-host", "localhost")
        url = f"{forge.url}@{forge.demo.head}"
        kedge("install", url).succeeded()
        forge.server.forget()
        kedge("install", "--force-reinstall", url).succeeded()
        assert forge.server.paths

    def test_plain_http_is_refused(self, plain_kedge: Kedge) -> None:
        for scheme in ("http", "git"):
            done = plain_kedge("install", f"git+{scheme}://git.example/demo.git")
            done.failed(saying=["--trusted-host git.example"])


class TestCredentials:
    def test_reach_their_server_and_are_told_nowhere(
        self,
        git_kedge: Kedge,
        target: Venv,
        forge: Forge,
        private_ca: Authority,
        tmp_path: Path,
    ) -> None:
        handler = with_basic_auth(git_http(forge.root), "me", "s3cret-word")
        with Server(handler, certificate=private_ca.leaf("localhost")) as server:
            url = server.url.replace("https://", "git+https://me:s3cret-word@")
            log = tmp_path / "log"
            words = ("-vvv", "--log", log, "--report", tmp_path / "report.json")
            done = git_kedge("install", *words, "-e", f"{url}/demo.git#egg=demo").succeeded()
            plain = git_kedge("install", *words, f"{url}/demo.git").succeeded()
            wrong = url.replace("s3cret-word", "wr0ng-word")
            failed = git_kedge("install", "-vvv", f"{wrong}/demo.git").failed()
        for text in (done.stderr, plain.stderr, failed.stderr, done.stdout, log.read_text()):
            assert "s3cret-word" not in text
            assert "wr0ng-word" not in text
        assert "s3cret-word" not in (tmp_path / "report.json").read_text()
        for path in target.path.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert b"s3cret-word" not in path.read_bytes(), path


class TestProxies:
    @pytest.mark.parametrize("way", ["flag", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
    def test_through_one_that_asks_who_is_there(
        self, git_kedge: Kedge, target: Venv, forge: Forge, way: str
    ) -> None:
        with Proxy(credentials=("a.user", "p@ss")) as proxy:
            if way == "flag":
                kedge = git_kedge.having("--proxy", proxy.authorized_url)
            else:
                kedge = git_kedge.having(**{way: proxy.authorized_url})
            done = kedge("install", "-v", forge.url).succeeded()
            assert set(proxy.tunnels) == {forge.server.hostport}
        assert target.versions() == {"demo": "2.0"}
        assert "p@ss" not in done.stderr
        assert "p%40ss" not in done.stderr

    def test_switched_off(self, git_kedge: Kedge, forge: Forge) -> None:
        with Proxy() as proxy:
            kedge = git_kedge.having("--proxy", "", HTTPS_PROXY=proxy.url)
            kedge("install", forge.url).succeeded()
            assert proxy.entries == []

    def test_a_tls_proxy_is_verified_by_the_same_decision(
        self, git_kedge: Kedge, forge: Forge, private_ca: Authority, stranger_ca: Authority
    ) -> None:
        with Proxy(certificate=private_ca.leaf("localhost")) as proxy:
            git_kedge("install", forge.url, "--proxy", proxy.url).succeeded()
            assert set(proxy.tunnels) == {forge.server.hostport}
        with Proxy(certificate=stranger_ca.leaf("localhost")) as proxy:
            git_kedge("install", "--force-reinstall", forge.url, "--proxy", proxy.url).failed()
            assert not proxy.tunnels  # the diagnosis looks who answers, and tells him nothing
            assert all("authorization" not in " ".join(entry.headers) for entry in proxy.entries)

    @pytest.mark.tool("mitmdump")
    @pytest.mark.parametrize("way", ["--cert", "PIP_CERT", "truststore"])
    def test_through_one_that_signs_everything_anew(
        self,
        plain_kedge: Kedge,
        target: Venv,
        forge: Forge,
        private_ca: Authority,
        tmp_path: Path,
        way: str,
    ) -> None:
        company = authority("Kedge Test Company Root")
        pem = company.write_pem(tmp_path / "company.pem")
        login = ("a.user", "pass word")
        kedge = plain_kedge.having("--no-index")
        match way:
            case "--cert":
                kedge = kedge.having("--cert", pem)
            case "PIP_CERT":
                kedge = kedge.having(PIP_CERT=str(pem))
            case _:
                kedge = kedge.having("--use-feature=truststore", SSL_CERT_FILE=str(pem))
        with mitmproxy(tmp_path / "mitm", company, trusts=private_ca, credentials=login) as proxy:
            kedge = kedge.having("--proxy", proxy.authorized_url)
            kedge("install", forge.url).succeeded()
            assert proxy.hosts == {forge.server.hostport}
        assert target.versions() == {"demo": "2.0"}


def test_a_program_that_is_not_there(git_kedge: Kedge, tmp_path: Path) -> None:
    kedge = git_kedge.having(PATH=str(tmp_path))
    kedge("install", "git+https://git.example/demo.git").failed(saying=["git", "PATH"])


def test_an_option_in_place_of_a_revision(git_kedge: Kedge, forge: Forge, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    url = f"{forge.url}@--upload-pack=touch%20{mark}"
    git_kedge("install", url).failed()
    assert not mark.exists()
