"""Repositories into folders, by the real programs, from a real server."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kedge.build.children import Children
from kedge.build.report import BuildReporter
from kedge.build.repository import parse_repository
from kedge.build.vcs import Checkout, Repositories
from kedge.errors import BuildError, SourceError
from support.pki import Authority
from support.repositories import Repo, git_http
from support.servers import Handler, Request, Response, Server, redirect, with_basic_auth

pytestmark = pytest.mark.tool("git")


@dataclass
class Heard(BuildReporter):
    lines: list[str] = field(default_factory=list)

    def build_output(self, name: str, line: str) -> None:
        self.lines.append(line)


@dataclass
class Stand:
    """Repositories on a TLS server, and the programs that check them out, in English."""

    server: Server
    origin: Repo
    environ: dict[str, str]
    folder: Path
    heard: Heard = field(default_factory=Heard)

    @property
    def url(self) -> str:
        return f"git+{self.server.url}/demo.git"

    def check_out(self, url: str, *, verified: bool = True) -> Checkout:
        place = self.folder / str(len(list(self.folder.iterdir())))
        return self.repositories().check_out(parse_repository(url), place, verified=verified)

    def repositories(self) -> Repositories:
        return Repositories(Children(), self.environ, self.heard)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repos"


@pytest.fixture
def origin(root: Path) -> Repo:
    """``main`` at 2, ``old`` and the tag ``v1`` at 1."""
    repo = Repo(root / "demo.git")
    repo.commit({"file": "1"})
    repo.git("branch", "old")
    repo.git("tag", "v1")
    repo.commit({"file": "2"})
    return repo


@pytest.fixture
def stand(
    root: Path,
    origin: Repo,
    private_ca: Authority,
    bundle: Path,
    clean_environ: dict[str, str],
    tmp_path: Path,
) -> Iterator[Stand]:
    nothing, folder = tmp_path / "nothing", tmp_path / "checkouts"
    nothing.mkdir()
    folder.mkdir()
    trust = {"GIT_SSL_CAINFO": str(bundle), "GIT_SSL_CAPATH": str(nothing)}
    with Server(git_http(root), certificate=private_ca.leaf("localhost")) as server:
        yield Stand(server, origin, {**clean_environ, **trust, "LC_ALL": "C.UTF-8"}, folder)


class TestRevisions:
    def test_none(self, stand: Stand) -> None:
        found = stand.check_out(stand.url)
        assert (found.commit, found.immutable) == (stand.origin.head, False)
        assert (found.folder / "file").read_text() == "2"

    @pytest.mark.parametrize(
        "revision", ["old", "v1", "refs/heads/old", "refs/tags/v1", "v1^0", "main~1"]
    )
    def test_by_name(self, stand: Stand, revision: str) -> None:
        found = stand.check_out(f"{stand.url}@{revision}")
        assert (found.folder / "file").read_text() == "1"
        assert (found.commit, found.immutable) == (stand.origin.git("rev-parse", "v1"), False)

    def test_a_branch_is_tracked(self, stand: Stand) -> None:
        found = stand.check_out(f"{stand.url}@old")
        assert "refs/heads/old" in (found.folder / ".git" / "HEAD").read_text()

    def test_a_commit(self, stand: Stand) -> None:
        commit = stand.origin.git("rev-parse", "v1")
        found = stand.check_out(f"{stand.url}@{commit}")
        assert (found.commit, found.immutable) == (commit, True)
        found = stand.check_out(f"{stand.url}@{commit[:10]}")
        assert (found.commit, found.immutable) == (commit, False)

    def test_a_commit_that_no_branch_leads_to(self, stand: Stand) -> None:
        stand.origin.git("checkout", "--quiet", "--detach")
        lost = stand.origin.commit({"file": "lost"})
        stand.origin.git("checkout", "--quiet", "main")
        found = stand.check_out(f"{stand.url}@{lost}")
        assert (found.commit, (found.folder / "file").read_text()) == (lost, "lost")

    def test_a_ref_of_another_kind(self, stand: Stand) -> None:
        stand.origin.git("update-ref", "refs/pull/7/head", "v1")
        found = stand.check_out(f"{stand.url}@refs/pull/7/head")
        assert (found.folder / "file").read_text() == "1"

    @pytest.mark.parametrize("at", ["main", "v1"])
    @pytest.mark.parametrize("kind", ["branch", "tag"])
    def test_what_is_called_like_a_commit(self, stand: Stand, kind: str, at: str) -> None:
        """It can be moved, so what is asked for by that name is not for ever the same."""
        commit = stand.origin.git("rev-parse", "v1")
        stand.origin.git(kind, commit, at)
        found = stand.check_out(f"{stand.url}@{commit}")
        assert found.immutable is False

    def test_none_of_that_name(self, stand: Stand) -> None:
        with pytest.raises(BuildError) as failed:
            stand.check_out(f"{stand.url}@gone")
        assert "gone" in failed.value.message
        assert any("gone" in line for line in failed.value.output)

    def test_from_a_file(self, stand: Stand) -> None:
        found = stand.check_out(f"git+{stand.origin.folder.as_uri()}@v1")
        assert (found.folder / "file").read_text() == "1"


def test_over_ssh(stand: Stand, tmp_path: Path) -> None:
    """A program in place of ssh, which runs on this machine what it was to run on the other."""
    program, seen = tmp_path / "ssh", tmp_path / "seen"
    program.write_text(f'#!/bin/sh\necho "$@" >>{seen}\nfor last; do :; done\nexec sh -c "$last"\n')
    program.chmod(0o755)
    stand.environ |= {"GIT_SSH_COMMAND": str(program), "GIT_SSH_VARIANT": "ssh"}
    found = stand.check_out(f"git+ssh://git@forge.test:2222{stand.origin.folder}@v1")
    assert (found.folder / "file").read_text() == "1"
    assert "-p 2222 git@forge.test git-upload-pack" in seen.read_text()


class TestSubmodules:
    def test_are_there(self, stand: Stand, root: Path) -> None:
        lib = Repo(root / "lib.git")
        lib.commit({"inner": "x"})
        stand.origin.submodule(lib)
        stand.origin.git("config", "--file=.gitmodules", "submodule.lib.url", "../lib.git")
        stand.origin.commit({})
        found = stand.check_out(stand.url)
        assert (found.folder / "lib" / "inner").read_text() == "x"

    @pytest.mark.parametrize("kind", ["ext::sh -c 'touch {mark}'", "{lib}"])
    def test_never_run_a_program_and_never_read_this_machine(
        self, stand: Stand, root: Path, tmp_path: Path, kind: str
    ) -> None:
        lib, mark = Repo(root / "lib.git"), tmp_path / "mark"
        lib.commit({"inner": "x"})
        stand.origin.submodule(lib)
        url = kind.format(mark=mark, lib=lib.folder.as_uri())
        stand.origin.git("config", "--file=.gitmodules", "submodule.lib.url", url)
        stand.origin.commit({})
        with pytest.raises(BuildError) as failed:
            stand.check_out(stand.url)
        assert not mark.exists()
        assert any("not allowed" in line for line in failed.value.output)


class TestTrust:
    def test_nothing_else_is_trusted(self, stand: Stand, stranger_bundle: Path) -> None:
        stand.environ["GIT_SSL_CAINFO"] = str(stranger_bundle)
        with pytest.raises(BuildError) as failed:
            stand.check_out(stand.url)
        assert stand.server.url in (failed.value.hint or "")
        assert stand.server.asked == []

    def test_not_even_when_the_environment_says_so(
        self, stand: Stand, stranger_bundle: Path
    ) -> None:
        stand.environ |= {"GIT_SSL_CAINFO": str(stranger_bundle), "GIT_SSL_NO_VERIFY": "1"}
        with pytest.raises(BuildError):
            stand.check_out(stand.url)

    def test_nor_the_users_configuration(self, stand: Stand, stranger_bundle: Path) -> None:
        config = stand.folder / "gitconfig"
        config.write_text("[http]\n\tsslVerify = false\n")
        stand.environ |= {
            "GIT_SSL_CAINFO": str(stranger_bundle),
            "GIT_CONFIG_GLOBAL": str(config),
        }
        with pytest.raises(BuildError):
            stand.check_out(stand.url)

    def test_nor_for_a_submodule_elsewhere(
        self, stand: Stand, root: Path, stranger_ca: Authority
    ) -> None:
        config = stand.folder / "gitconfig"
        config.write_text("[http]\n\tsslVerify = false\n")
        stand.environ["GIT_CONFIG_GLOBAL"] = str(config)
        lib = Repo(root / "lib.git")
        lib.commit({"inner": "x"})
        stand.origin.submodule(lib)
        with Server(git_http(root), certificate=stranger_ca.leaf("localhost")) as other:
            stand.origin.git(
                "config", "--file=.gitmodules", "submodule.lib.url", f"{other.url}/lib.git"
            )
            stand.origin.commit({})
            with pytest.raises(BuildError):
                stand.check_out(stand.url)
            assert other.asked == []

    def test_a_trusted_host_is_not_verified(self, stand: Stand, stranger_bundle: Path) -> None:
        stand.environ["GIT_SSL_CAINFO"] = str(stranger_bundle)
        assert stand.check_out(stand.url, verified=False).commit == stand.origin.head

    def test_no_redirect_to_plain_http(
        self, stand: Stand, root: Path, private_ca: Authority
    ) -> None:
        with Server(git_http(root)) as plain:

            def away(request: Request) -> Response:
                return redirect(f"{plain.url}{request.target}")

            with (
                Server(away, certificate=private_ca.leaf("localhost")) as server,
                pytest.raises(BuildError),
            ):
                stand.check_out(f"git+{server.url}/demo.git")
            assert plain.asked == []


SECRET = "s3cret/@word"
QUOTED = "s3cret%2F%40word"


@pytest.fixture
def closed(root: Path, origin: Repo) -> Handler:
    return with_basic_auth(git_http(root), "me", SECRET)


class TestCredentials:
    def test_reach_their_server_and_nothing_else(
        self, stand: Stand, closed: Handler, private_ca: Authority, tmp_path: Path
    ) -> None:
        """Not the disk, not the output, not a helper of the user's that remembers things."""
        store = tmp_path / "store"
        config = tmp_path / "gitconfig"
        config.write_text(f"[credential]\n\thelper = store --file={store}\n")
        stand.environ |= {
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_TRACE": "1",
            "GIT_CURL_VERBOSE": "1",
        }
        with Server(closed, certificate=private_ca.leaf("localhost")) as server:
            url = server.url.replace("https://", f"git+https://me:{QUOTED}@")
            found = stand.check_out(f"{url}/demo.git")
            assert server.asked[-1].credentials == ("me", SECRET)
        assert found.commit == stand.origin.head
        for path in found.folder.rglob("*"):
            if path.is_file():
                assert b"s3cret" not in path.read_bytes(), path
        assert not store.exists()
        assert not any("s3cret" in line for line in stand.heard.lines)
        assert any("clone" in line for line in stand.heard.lines)

    def test_a_token(self, stand: Stand, root: Path, private_ca: Authority) -> None:
        handler = with_basic_auth(git_http(root), "token", "")
        with Server(handler, certificate=private_ca.leaf("localhost")) as server:
            url = server.url.replace("https://", "git+https://token@")
            assert stand.check_out(f"{url}/demo.git").commit == stand.origin.head

    @pytest.mark.parametrize("asks", [True, False], ids=["asks-first", "at-once"])
    def test_do_not_follow_a_redirect_to_another_origin(
        self, stand: Stand, closed: Handler, private_ca: Authority, asks: bool
    ) -> None:
        leaf = private_ca.leaf("localhost")
        with Server(closed, certificate=leaf) as other:

            def away(request: Request) -> Response:
                if asks and request.credentials is None:
                    return Response(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
                return redirect(f"{other.url}{request.target}")

            with Server(away, certificate=leaf) as server:
                url = server.url.replace("https://", f"git+https://me:{QUOTED}@")
                with pytest.raises(BuildError):
                    stand.check_out(f"{url}/demo.git")
            assert other.asked
            assert all(request.credentials is None for request in other.asked)

    def test_wrong_ones_end_it_without_a_question(
        self, stand: Stand, closed: Handler, private_ca: Authority
    ) -> None:
        with Server(closed, certificate=private_ca.leaf("localhost")) as server:
            url = server.url.replace("https://", "git+https://me:wr0ng@")
            with pytest.raises(BuildError) as failed:
                stand.check_out(f"{url}/demo.git")
        assert "wr0ng" not in "\n".join([failed.value.message, *failed.value.output])

    def test_of_netrc(
        self, stand: Stand, closed: Handler, private_ca: Authority, home: Path
    ) -> None:
        netrc = home / ".netrc"
        netrc.write_text(f"machine localhost login me password {SECRET}\n")
        netrc.chmod(stat.S_IRUSR | stat.S_IWUSR)
        with Server(closed, certificate=private_ca.leaf("localhost")) as server:
            assert stand.check_out(f"git+{server.url}/demo.git").commit == stand.origin.head


class TestWhatIsThere:
    def test_another_repository_in_the_environment(self, stand: Stand, tmp_path: Path) -> None:
        stand.environ |= {"GIT_DIR": str(tmp_path / "no"), "GIT_WORK_TREE": str(tmp_path)}
        assert stand.check_out(stand.url).commit == stand.origin.head

    def test_is_brought_up_to_date(self, stand: Stand) -> None:
        repository = parse_repository(f"{stand.url}@main")
        found = stand.check_out(f"{stand.url}@main")
        repositories = stand.repositories()
        assert repositories.is_checkout(repository, found.folder)
        newest = stand.origin.commit({"file": "3"})
        (found.folder / "file").write_text("changed")
        assert repositories.update(repository, found.folder).commit == newest
        assert (found.folder / "file").read_text() == "3"

    @pytest.mark.parametrize("revision", ["v1", "old", ""])
    def test_at_another_revision(self, stand: Stand, revision: str) -> None:
        found = stand.check_out(f"{stand.url}@main")
        url = f"{stand.url}@{revision}" if revision else stand.url
        stand.repositories().update(parse_repository(url), found.folder)
        assert (found.folder / "file").read_text() == ("1" if revision else "2")

    def test_is_of_another_repository(self, stand: Stand, tmp_path: Path) -> None:
        found = stand.check_out(stand.url)
        repositories = stand.repositories()
        other = parse_repository(f"git+{stand.server.url}/other.git")
        assert not repositories.is_checkout(other, found.folder)
        assert not repositories.is_checkout(parse_repository(stand.url), tmp_path)
        assert not repositories.is_checkout(parse_repository(stand.url), tmp_path / "gone")


@pytest.mark.parametrize("vcs", ["git", "hg", "svn", "bzr"])
def test_a_program_that_is_not_there(tmp_path: Path, vcs: str) -> None:
    repositories = Repositories(Children(), {"PATH": str(tmp_path)}, BuildReporter())
    with pytest.raises(SourceError, match=vcs):
        repositories.check_out(parse_repository(f"{vcs}+https://x.test/a"), tmp_path / "a")


def test_credentials_that_cannot_be_handed_over(tmp_path: Path) -> None:
    program = tmp_path / "hg"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    repositories = Repositories(Children(), {"PATH": str(tmp_path)}, BuildReporter())
    with pytest.raises(SourceError) as refused:
        repositories.check_out(parse_repository("hg+https://me:secret@x.test/a"), tmp_path / "a")
    assert "secret" not in refused.value.message


@contextmanager
def _served(hg: Path, identity: Path) -> Iterator[str]:
    """The repository over TLS, at a port that the program chooses when it takes it."""
    command = ["hg", "--cwd", str(hg), "serve", "--address", "localhost", "--port", "0"]
    command += ["--certificate", str(identity)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        try:
            said = ""
            while not (listening := re.search(r"localhost:(\d+)/", said)):
                line = process.stdout.readline()
                assert line, said
                said += line.decode()
            yield f"hg+https://localhost:{listening[1]}/"
        finally:
            process.terminate()


@pytest.mark.tool("hg")
class TestMercurial:
    @pytest.fixture
    def hg(self, tmp_path: Path, clean_environ: dict[str, str]) -> Path:
        """A repository whose tag ``v1`` is at 1, and its tip at 2."""
        folder = tmp_path / "hg"
        folder.mkdir()

        def run(*words: str) -> None:
            line = ["hg", *words]
            subprocess.run(line, cwd=folder, env=clean_environ, check=True, capture_output=True)

        run("init")
        for number in ("1", "2"):
            (folder / "file").write_text(number)
            run("commit", "--addremove", "--user", "test", "--message", number)
            if number == "1":
                run("tag", "--user", "test", "v1")
        return folder

    @pytest.mark.parametrize(("revision", "text"), [("", "2"), ("@v1", "1"), ("@0", "1")])
    def test_a_revision(self, stand: Stand, hg: Path, revision: str, text: str) -> None:
        found = stand.check_out(f"hg+{hg.as_uri()}{revision}")
        assert (found.folder / "file").read_text() == text
        assert (len(found.commit), found.immutable) == (40, False)
        again = stand.check_out(f"hg+{hg.as_uri()}@{found.commit}")
        assert (again.commit, again.immutable) == (found.commit, True)

    def test_none_of_that_name(self, stand: Stand, hg: Path) -> None:
        with pytest.raises(BuildError, match="gone"):
            stand.check_out(f"hg+{hg.as_uri()}@gone")

    def test_the_decided_trust_counts(
        self,
        stand: Stand,
        hg: Path,
        private_ca: Authority,
        bundle: Path,
        stranger_bundle: Path,
        tmp_path: Path,
    ) -> None:
        identity = tmp_path / "identity.pem"
        private_ca.leaf("localhost").write_identity(identity)
        with _served(hg, identity) as url:
            stand.environ["CURL_CA_BUNDLE"] = str(stranger_bundle)
            with pytest.raises(BuildError):
                stand.check_out(url)
            stand.environ["CURL_CA_BUNDLE"] = str(bundle)
            assert (stand.check_out(url).folder / "file").read_text() == "2"


def test_bazaar_makes_no_folders_above_its_own(tmp_path: Path) -> None:
    """A stand-in: the real one takes its Python from PATH, where a test's has none of its code."""
    program = tmp_path / "bin" / "bzr"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nfor last; do :; done\n[ "$1" = revno ] && echo 7 || exec mkdir "$last"\n'
    )
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.defpath}"
    repositories = Repositories(Children(), {"PATH": path}, BuildReporter())
    folder = tmp_path / "src" / "demo"
    found = repositories.check_out(parse_repository("bzr+file:///somewhere"), folder)
    assert (found.folder, found.commit) == (folder, "7")


@pytest.mark.tool("svn")
class TestSubversion:
    @pytest.fixture
    def url(self, tmp_path: Path, clean_environ: dict[str, str]) -> str:
        """A folder of a repository, at 1 in its first revision and at 2 in its second."""
        folder = tmp_path / "work"
        store = tmp_path / "store"

        def run(*words: str) -> None:
            subprocess.run(words, cwd=tmp_path, env=clean_environ, check=True, capture_output=True)

        run("svnadmin", "create", str(store))
        run("svn", "checkout", store.as_uri(), str(folder))
        (folder / "trunk").mkdir()
        for number in ("1", "2"):
            (folder / "trunk" / "file").write_text(number)
            run("svn", "add", "--force", str(folder / "trunk"))
            run("svn", "commit", "--message", number, str(folder))
        return f"{store.as_uri()}/trunk"

    @pytest.mark.parametrize(("revision", "text"), [("", "2"), ("@1", "1")])
    def test_a_revision(self, stand: Stand, url: str, revision: str, text: str) -> None:
        found = stand.check_out(f"svn+{url}{revision}")
        assert (found.folder / "file").read_text() == text
        assert (found.commit, found.immutable) == (text, False)

    def test_none_of_that_number(self, stand: Stand, url: str) -> None:
        with pytest.raises(BuildError, match="svn"):
            stand.check_out(f"svn+{url}@99")
