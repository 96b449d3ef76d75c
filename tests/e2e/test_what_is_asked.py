"""Lock files, groups and the options that narrow a choice, over TLS and into an environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.indexes import SimpleIndex, files_fetched
from support.pki import Authority, authority
from support.proxies import mitmproxy
from support.servers import Request, Response, Server, tree
from support.venvs import Kedge, Venv
from support.wheels import wheel


def lock(sha256: str, place: str) -> str:
    return (
        'lock-version = "1.0"\ncreated-by = "test"\n'
        '[[packages]]\nname = "demo"\nversion = "1.0"\n[[packages.wheels]]\n'
        f'name = "demo-1.0-py3-none-any.whl"\n{place}\nhashes = {{sha256 = "{sha256}"}}\n'
    )


class TestLockFiles:
    def test_behind_a_url_with_its_files_beside_it(
        self, plain_kedge: Kedge, target: Venv, private_ca: Authority, bundle: Path
    ) -> None:
        demo = wheel("demo", "1.0")
        text = lock(demo.sha256, f'path = "files/{demo.filename}"')
        pages = {"/a/pylock.toml": text.encode(), f"/a/files/{demo.filename}": demo.data}
        with Server(tree(pages), certificate=private_ca.leaf("localhost")) as server:
            url = f"{server.url}/a/pylock.toml"
            plain_kedge("install", "-r", url).failed(saying=["untrusted-root"])
            plain_kedge("install", "-r", url, "--cert", bundle).succeeded()
        assert target.versions() == {"demo": "1.0"}

    def test_the_index_is_not_asked_about_what_is_locked(
        self, kedge: Kedge, target: Venv, server: Server, catalogue: SimpleIndex, tmp_path: Path
    ) -> None:
        apple = next(file for file in catalogue.files if file.filename.startswith("apple-1.0"))
        text = lock(apple.sha256, f'url = "{server.url}/files/{apple.filename}"')
        (tmp_path / "pylock.toml").write_text(text.replace("demo", "apple"))
        kedge("install", "-r", tmp_path / "pylock.toml").succeeded()
        assert target.versions() == {"apple": "1.0"}
        assert not any(path.startswith("/simple") for path in server.paths)

    def test_another_file_than_was_locked(
        self, kedge: Kedge, target: Venv, server: Server, tmp_path: Path
    ) -> None:
        text = lock("0" * 64, f'url = "{server.url}/files/apple-1.0-py3-none-any.whl"')
        (tmp_path / "pylock.toml").write_text(text.replace("demo", "apple"))
        kedge("install", "-r", tmp_path / "pylock.toml").failed(saying=["0" * 64])
        assert target.versions() == {}

    def test_a_local_file_that_was_replaced(
        self, kedge: Kedge, target: Venv, tmp_path: Path
    ) -> None:
        path = wheel("demo", "1.0").write(tmp_path)
        (tmp_path / "pylock.toml").write_text(lock("0" * 64, f'path = "{path.name}"'))
        kedge("install", "-r", tmp_path / "pylock.toml").failed(saying=[path.name])
        assert target.versions() == {}

    def test_downloaded(self, kedge: Kedge, tmp_path: Path) -> None:
        demo = wheel("demo", "1.0")
        path = demo.write(tmp_path / "files")
        (tmp_path / "pylock.toml").write_text(lock(demo.sha256, f'path = "files/{path.name}"'))
        kedge("download", "-r", tmp_path / "pylock.toml", "-d", tmp_path / "d").succeeded()
        assert (tmp_path / "d" / path.name).read_bytes() == demo.data

    def test_uninstall_does_not_read_one(self, kedge: Kedge, tmp_path: Path) -> None:
        (tmp_path / "pylock.toml").write_text(lock("0" * 64, 'url = "https://x.test/"'))
        done = kedge("uninstall", "-y", "-r", tmp_path / "pylock.toml")
        done.failed(saying=["pylock.toml"])


def test_a_group_is_installed(kedge: Kedge, target: Venv, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[dependency-groups]\ndev = ["apple<2"]\n')
    kedge("install", "--group", f"{tmp_path}/pyproject.toml:dev").succeeded()
    assert target.versions() == {"apple": "1.1"}


def test_only_the_dependencies(kedge: Kedge, target: Venv) -> None:
    kedge("install", "--only-deps", "apple").succeeded()
    assert target.versions() == {"banana": "2.0"}


class TestUploadTimes:
    """The shared index says that everything was uploaded when 2024 began."""

    def test_before(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "apple", "--uploaded-prior-to", "2024-01-01T00:00:01Z").succeeded()
        assert target.versions() == {"apple": "2.0", "banana": "2.0"}

    @pytest.mark.parametrize("limit", ["2024-01-01T00:00:00+00:00", "2023-12-30", "P9000D"])
    def test_not_before(self, kedge: Kedge, target: Venv, limit: str) -> None:
        done = kedge("install", "apple", "--uploaded-prior-to", limit)
        done.failed(saying=["--uploaded-prior-to"])
        assert target.versions() == {}

    def test_an_index_that_does_not_say(
        self, plain_kedge: Kedge, target: Venv, private_ca: Authority, bundle: Path
    ) -> None:
        index = SimpleIndex([wheel("demo", "1.0")], style="html")
        with Server(index, certificate=private_ca.leaf("localhost")) as server:
            words = ("demo", "-i", f"{server.url}/simple/", "--cert", bundle)
            done = plain_kedge("install", *words, "--uploaded-prior-to", "P1D")
            done.failed(saying=["demo-1.0-py3-none-any.whl", "--uploaded-prior-to"])
            plain_kedge("install", *words).succeeded()


class TestRefreshing:
    @pytest.mark.parametrize(
        ("words", "version"),
        [
            ([], "1.0"),
            (["--refresh-package", "demo"], "2.0"),
            (["--refresh-package", ":all:"], "2.0"),
            (["--refresh-package", "other,Demo"], "2.0"),
            (["--refresh-package", "other"], "1.0"),
            (["--refresh-package", ":all:", "--refresh-package", ":none:"], "1.0"),
        ],
    )
    def test_a_page_that_is_fresh(
        self,
        plain_kedge: Kedge,
        target: Venv,
        private_ca: Authority,
        bundle: Path,
        words: list[str],
        version: str,
    ) -> None:
        """The server says that its page holds for an hour; then a version is uploaded."""
        index = SimpleIndex([wheel("demo", "1.0")])

        def fresh(request: object) -> Response:
            answer = index(request)  # type: ignore[arg-type]
            return Response(
                answer.status, answer.body, {**answer.headers, "Cache-Control": "max-age=3600"}
            )

        with Server(fresh, certificate=private_ca.leaf("localhost")) as server:
            kedge = plain_kedge.having("-i", f"{server.url}/simple/", "--cert", bundle)
            kedge("install", "--dry-run", "demo").succeeded()
            index.add(wheel("demo", "2.0"))
            kedge("install", "demo", *words).succeeded()
        assert target.versions() == {"demo": version}
        assert len(files_fetched(server)) == 1


@pytest.mark.tool("mitmdump")
@pytest.mark.parametrize("way", ["--cert", "PIP_CERT", "truststore"])
def test_files_behind_urls_through_a_proxy_that_asks_who_is_there_and_signs_anew(
    plain_kedge: Kedge,
    target: Venv,
    private_ca: Authority,
    tmp_path: Path,
    way: str,
) -> None:
    """Requirements, what they include, constraints, and the index that they name."""
    company = authority("Kedge Test Company Root")
    pem = company.write_pem(tmp_path / "company.pem")
    index = SimpleIndex([wheel("apple", "1.0"), wheel("apple", "2.0"), wheel("banana", "1.0")])
    pages = {
        "/a/r.txt": b"-r sub/more.txt\n-c limits.txt\nbanana\n",
        "/a/sub/more.txt": b"apple\n",
        "/a/limits.txt": b"apple<2\n",
    }
    files = tree(pages)

    def both(request: Request) -> Response:
        return files(request) if request.path.startswith("/a/") else index(request)

    match way:
        case "--cert":
            kedge = plain_kedge.having("--cert", pem)
        case "PIP_CERT":
            kedge = plain_kedge.having(PIP_CERT=str(pem))
        case _:
            kedge = plain_kedge.having("--use-feature=truststore", SSL_CERT_FILE=str(pem))
    login = ("a.user", "pass word")
    with (
        Server(both, certificate=private_ca.leaf("localhost")) as server,
        mitmproxy(tmp_path / "mitm", company, trusts=private_ca, credentials=login) as proxy,
    ):
        words = ("-r", f"{server.url}/a/r.txt", "-i", f"{server.url}/simple/")
        kedge("install", *words, "--proxy", proxy.authorized_url).succeeded()
        assert proxy.hosts == {server.hostport}
    assert target.versions() == {"apple": "1.0", "banana": "1.0"}
