"""What a command imports: a start is paid for by every run, and nobody notices what is added.

Modules are counted, not seconds: a list does not depend on how busy the machine is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.indexes import SimpleIndex
from support.pki import Authority
from support.servers import Request, Response, Server
from support.venvs import make_venv
from support.wheels import wheel

_SHOW = """\
import sys
from kedge.cli.main import program
sys.argv[1:] = {argv!r}
code = program(launched_as_module=True)
print("\\nLOADED", code, *sys.modules)
"""

#: What reads certificates, opens connections, draws, or unpacks.
_NETWORK = {
    "certifi", "cryptography", "email", "html", "http", "requests", "rich", "ssl", "truststore",
    "urllib3",
}  # fmt: skip


def loaded(*argv: str, python: tuple[str, ...] = ()) -> tuple[int, set[str]]:
    """The exit code, and the modules that were loaded when the command had ended."""
    code = _SHOW.format(argv=list(argv))
    command = [sys.executable, *python, "-c", code]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    _, _, words = done.stdout.rpartition("\nLOADED ")
    status, *modules = words.split()
    return int(status), set(modules)


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_needs_nothing_that_bare_python_does_not_have(flag: str) -> None:
    bare = subprocess.run(
        [sys.executable, "-c", "import gc, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = loaded(flag)
    own = {"kedge", "kedge.cli", "kedge.cli.main", "__future__"}
    assert (status, modules - set(bare.stdout.split())) == (0, own)


def test_the_version_is_the_same_among_other_words() -> None:
    """The short way and the table's way must not say different things."""
    command = [sys.executable, "-m", "kedge"]
    short, long = (
        subprocess.run([*command, *words], capture_output=True, text=True, check=True).stdout
        for words in (["--version"], ["--version", "--verbose"])
    )
    assert short == long != ""


@pytest.mark.parametrize(
    ("argv", "status"),
    [(["--help"], 0), (["install", "--help"], 0), (["install", "--bogus"], 2), (["instal"], 2)],
    ids=["help", "help of a command", "no such option", "no such command"],
)
def test_words_alone_need_no_layer_below_settings(argv: list[str], status: int) -> None:
    code, modules = loaded(*argv)
    layers = {name.split(".")[1] for name in modules if name.startswith("kedge.")}
    assert (code, layers) == (status, {"classes", "cli", "errors", "model", "settings"})
    assert not modules & (_NETWORK | {"dataclasses", "inspect", "json", "packaging", "subprocess"})


def test_an_install_with_nothing_to_do_opens_nothing() -> None:
    code, modules = loaded("install", "packaging", "resolvelib", "--quiet")
    assert code == 0
    dear = _NETWORK | {
        "bz2", "concurrent.futures", "lzma", "mimetypes", "optparse", "secrets", "shutil",
        "tempfile", "zipfile",
    }  # fmt: skip
    assert not modules & dear
    assert not {name for name in modules if name.startswith("kedge.trust.")} - {
        "kedge.trust.decide"
    }
    assert not {name for name in modules if name.startswith("kedge.install.")} - {
        "kedge.install.files",
        "kedge.install.plan",
        "kedge.install.state",
    }


def test_an_install_imports_of_the_network_what_it_uses(
    tmp_path: Path, private_ca: Authority
) -> None:
    """The first run loads the whole bundle; one from the cache alone no library of the network,
    and one that connects again nothing that reads or judges certificates."""
    optional = ["third >=1.2; extra == 'all'", 'fourth; extra == "all"']
    index = SimpleIndex([wheel("demo"), wheel("other", requires=optional)])

    def serve(request: Request) -> Response:
        answer = index(request)
        return replace(answer, headers={**answer.headers, "Cache-Control": "max-age=600"})

    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(private_ca.pem)
    with Server(serve, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        words = ["-i", f"{server.url}/simple/", "--cert", str(bundle), "--quiet"]
        words += ["--cache-dir", str(tmp_path / "cache"), "--python"]
        runs = [
            loaded("install", *words, str(make_venv(tmp_path / folder).python), project)
            for folder, project in (("a", "demo"), ("b", "demo"), ("c", "other"))
        ]
    assert [status for status, _ in runs] == [0, 0, 0]
    first, cached, again = (modules for _, modules in runs)
    judging = {"kedge.trust.anchors", "kedge.trust.bundle", "kedge.trust.pem"}
    assert {"ssl", "requests"} | judging <= first
    assert not cached & (_NETWORK | {"dataclasses", "packaging.requirements", "resolvelib"})
    assert {"ssl", "requests"} <= again
    unused = {
        "charset_normalizer.api",
        "cryptography",
        "html",
        "importlib.metadata",
        "kedge.diagnose",
        "packaging.requirements",
        "rich",
        "truststore",
    }
    assert not again & (judging | unused)
