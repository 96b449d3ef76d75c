"""A transcript of every request, at every server and proxy: no credential, no client certificate
and no cookie reaches an origin that it does not belong to; none is printed, logged or kept.

Each scenario is a command line; each is run directly, through a proxy with credentials, and through
a TLS proxy with credentials. All servers but two share one host name, and differ in their ports.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.indexes import CoreMetadata, SimpleIndex, page_of
from support.keyrings import JsonFile
from support.pki import Authority
from support.proxies import with_credentials
from support.servers import Handler, Request, Response, not_found, redirect, tree
from support.transcript import World
from support.venvs import Kedge, Outcome, Venv
from support.wheels import Artifact, wheel

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="needs 127.0.0.2 and 127.0.0.3"),
]

APPLE = wheel("apple", "1.0", requires=["banana"])
BANANA = wheel("banana", "1.0")
CHERRY = wheel("cherry", "1.0")
ALL = (APPLE, BANANA, CHERRY)


@pytest.fixture(scope="module")
def world(private_ca: Authority, stranger_ca: Authority) -> Iterator[World]:
    with ExitStack() as stack:
        made = World(private_ca, private_ca.client(), stranger_ca, stack)
        made.add("index", guarded=True)
        made.add("second", host="127.0.0.2", guarded=True)
        made.add("third", guarded=True)
        made.add("links", guarded=True)
        made.add("direct", guarded=True)
        made.add("lists", guarded=True)
        made.add("plain", guarded=True, plain=True)
        made.add("closed", host="127.0.0.3", guarded=True)
        made.add("files")
        made.add("elsewhere", host="127.0.0.3")
        made.add("hops")
        made.add("stranger", trusted=False)
        made.add_proxy("proxy", tls=False)
        made.add_proxy("tls-proxy", tls=True)
        yield made


@dataclass
class Run:
    """What one scenario asks for.

    ``asked`` is who must have been asked, ``code`` how it must end; ``configured`` are the servers
    that the client certificate is meant for.
    """

    words: list[str]
    asked: list[str]
    code: int = 0
    environ: dict[str, str] = field(default_factory=dict)
    netrc: str = ""
    configured: list[str] = field(default_factory=lambda: ["index"])


Scenario = Callable[[World, Path], Run]
SCENARIOS: list[Scenario] = []


def scenario(make: Scenario) -> Scenario:
    SCENARIOS.append(make)
    return make


def index_of(*files: Artifact, at: str | None = None, metadata: bool = True) -> SimpleIndex:
    kind = CoreMetadata.HASHED if metadata else CoreMetadata.NONE
    return SimpleIndex(list(files), files_at=at, core_metadata=kind)


@scenario
def files_on_another_host(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(*ALL, at=world.url("elsewhere"))
    world.handlers["elsewhere"] = index_of(*ALL)
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index", "elsewhere"])


@scenario
def files_on_another_port(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(*ALL, at=world.url("files"), metadata=False)
    world.handlers["files"] = index_of(*ALL)
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index", "files"])


def hop(to: Callable[[str], str], status: int = 302) -> Handler:
    return lambda request: redirect(to(request.path), status)


@scenario
def files_by_a_chain_of_redirects(world: World, folder: Path) -> Run:
    inner = index_of(*ALL, metadata=False)

    def index(request: Request) -> Response:
        if request.path.startswith("/files/"):
            return redirect(world.url("hops", request.path), 301)
        return inner(request)

    world.handlers["index"] = index
    world.handlers["hops"] = hop(lambda path: world.url("elsewhere", path), 307)
    world.handlers["elsewhere"] = hop(lambda path: world.url("files", path), 308)
    world.handlers["files"] = index_of(*ALL)
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index", "hops", "elsewhere", "files"])


@scenario
def pages_by_a_redirect_and_back(world: World, folder: Path) -> Run:
    inner = index_of(*ALL)

    def index(request: Request) -> Response:
        if request.path.startswith("/simple/"):
            return redirect(world.url("hops", request.path), 303)
        if request.path.startswith("/back/"):
            path = request.path.removeprefix("/back")
            return inner(Request("GET", path, request.headers, b"", 0))
        return not_found(request)

    world.handlers["index"] = index
    world.handlers["hops"] = hop(lambda path: world.url("index", f"/back{path}"))
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index", "hops"])


@scenario
def a_redirect_that_brings_credentials(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(*ALL, at=world.url("hops"))
    world.handlers["hops"] = hop(lambda path: world.url("direct", path, secret=True))
    world.handlers["direct"] = index_of(*ALL)
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    # The redirecting server is told of by this test alone: it knows the secret it gives.
    return Run(words, ["index", "hops", "direct"])


@scenario
def two_indexes_and_netrc(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(APPLE, CHERRY, at=world.url("files"))
    world.handlers["second"] = index_of(BANANA, at=world.url("elsewhere"))
    world.handlers["files"] = world.handlers["elsewhere"] = index_of(*ALL)
    secret = world.secrets["second"]
    words = ["apple", "cherry", "-i", world.url("index", "/simple/", secret=True)]
    words += ["--extra-index-url", world.url("second", "/simple/")]
    return Run(
        words,
        ["index", "second", "files", "elsewhere"],
        netrc=f"machine 127.0.0.2 login {secret.user} password {secret.password}\n",
        configured=["index", "second"],
    )


@scenario
def two_indexes_on_one_host(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(APPLE)
    world.handlers["third"] = index_of(BANANA)
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    words += ["--extra-index-url", world.url("third", "/simple/", secret=True)]
    return Run(words, ["index", "third"], configured=["index", "third"])


@scenario
def the_default_of_netrc(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(*ALL, at=world.url("elsewhere"))
    world.handlers["elsewhere"] = index_of(*ALL)
    secret = world.secrets["index"]
    return Run(
        ["apple", "-i", world.url("index", "/simple/")],
        ["index", "elsewhere"],
        netrc=f"default login {secret.user} password {secret.password}\n",
    )


@scenario
def a_page_of_links(world: World, folder: Path) -> Run:
    links = [world.url("files", f"/files/{APPLE.filename}"), f"/own/{BANANA.filename}"]
    pages = {"/links.html": page_of(links), f"/own/{BANANA.filename}": BANANA.data}
    world.handlers["links"] = tree(pages)
    world.handlers["files"] = index_of(*ALL)
    words = ["apple", "--no-index", "-f", world.url("links", "/links.html", secret=True)]
    return Run(words, ["links", "files"], configured=["links"])


@scenario
def a_requirement_that_is_a_url(world: World, folder: Path) -> Run:
    world.handlers["direct"] = tree({f"/{APPLE.filename}": APPLE.data})
    world.handlers["index"] = index_of(BANANA)
    words = [f"apple @ {world.url('direct', f'/{APPLE.filename}', secret=True)}"]
    words += ["-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["direct", "index"])


@scenario
def a_requirement_that_is_a_url_and_leads_elsewhere(world: World, folder: Path) -> Run:
    path = f"/{APPLE.filename}"
    world.handlers["direct"] = hop(lambda _: world.url("files", path))
    world.handlers["files"] = tree({path: APPLE.data})
    world.handlers["index"] = index_of(BANANA)
    words = [f"apple @ {world.url('direct', path, secret=True)}"]
    words += ["-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["direct", "files", "index"])


@scenario
def requirement_files_behind_urls(world: World, folder: Path) -> Run:
    extra = world.url("third", "/simple/", secret=True)
    world.handlers["lists"] = tree(
        {
            "/a/req.txt": f"-r more.txt\n--extra-index-url {extra}\n".encode(),
            "/a/more.txt": f"apple\n-c {world.url('elsewhere', '/limits.txt')}\n".encode(),
        }
    )
    world.handlers["elsewhere"] = tree({"/limits.txt": b"banana<2\n"})
    world.handlers["index"] = index_of(APPLE)
    world.handlers["third"] = index_of(BANANA)
    words = ["-r", world.url("lists", "/a/req.txt", secret=True)]
    words += ["-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["lists", "elsewhere", "index", "third"], configured=["index", "third"])


@scenario
def an_index_over_plain_http(world: World, folder: Path) -> Run:
    world.handlers["plain"] = index_of(*ALL, at=world.url("files"))
    world.handlers["files"] = index_of(*ALL)
    words = ["apple", "-i", world.url("plain", "/simple/", secret=True)]
    return Run(words, ["plain", "files"], configured=["plain"])


@scenario
def a_password_of_the_keyring(world: World, folder: Path) -> Run:
    pytest.importorskip("keyring", reason="not here: keyring")
    world.handlers["index"] = index_of(*ALL, at=world.url("elsewhere"))
    world.handlers["elsewhere"] = index_of(*ALL)
    entries = JsonFile(folder)
    secret, server = world.secrets["index"], world.servers["index"]
    entries.write({server.hostport: {secret.user: secret.password}})
    words = ["apple", "-i", world.url("index", "/simple/"), "--keyring-provider=import"]
    return Run(words, ["index", "elsewhere"], environ=entries.environ({}))


@scenario
def a_file_host_that_asks_for_what_nobody_has(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(*ALL, at=world.url("closed"))
    world.handlers["closed"] = index_of(*ALL)
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index", "closed"], code=1)


@scenario
def a_file_host_that_refuses(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(*ALL, at=world.url("files"))
    world.handlers["files"] = lambda _: Response(403)
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index", "files"], code=1)


@scenario
def a_wrong_password(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(*ALL)
    # The right words for the wrong server: they are that server's to see, and wrong there.
    wrong = with_credentials(world.url("index", "/simple/"), "user-of-index", "mistyped-word")
    return Run(["apple", "-i", wrong], ["index"], code=1)


@scenario
def a_file_host_that_is_not_trusted(world: World, folder: Path) -> Run:
    world.handlers["index"] = index_of(*ALL, at=world.url("stranger"))
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index"], code=1)


@scenario
def an_index_that_is_not_trusted(world: World, folder: Path) -> Run:
    secret = world.secrets["index"]
    url = with_credentials(world.url("stranger", "/simple/"), secret.user, secret.password)
    return Run(["apple", "-i", url], [], code=1, configured=[])


@scenario
def a_redirect_to_a_server_that_is_not_trusted(world: World, folder: Path) -> Run:
    world.handlers["index"] = hop(lambda path: world.url("stranger", path))
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index"], code=1)


@scenario
def a_redirect_with_credentials_to_a_server_that_is_not_trusted(world: World, folder: Path) -> Run:
    secret = world.secrets["direct"]
    url = with_credentials(world.url("stranger"), secret.user, secret.password)
    world.handlers["index"] = hop(lambda path: f"{url}{path}")
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index"], code=1)


@scenario
def a_redirect_to_plain_http(world: World, folder: Path) -> Run:
    world.handlers["index"] = hop(lambda path: world.url("plain", path))
    words = ["apple", "-i", world.url("index", "/simple/", secret=True)]
    return Run(words, ["index"], code=1)


@pytest.fixture(params=["directly", "proxy", "tls-proxy"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("make", [pytest.param(one, id=one.__name__) for one in SCENARIOS])
def test_everything_goes_to_its_own_origin_alone(
    make: Scenario,
    way: str,
    world: World,
    plain_kedge: Kedge,
    target: Venv,
    home: Path,
    bundle: Path,
    tmp_path: Path,
) -> None:
    run = make(world, home)
    world.forget()
    world.may_see_certificate = set(run.configured)
    outcome = _carry_out(run, way, world, plain_kedge, home, bundle, tmp_path)
    assert outcome.code == run.code, outcome
    outcome.without_traceback()
    assert [name for name in run.asked if not world.servers[name].requests] == []
    assert world.leaks() == []
    if run.code == 0:
        assert {"apple", "banana"} <= set(target.versions())
        seen = {
            n for n, s in world.servers.items() if any(r.client_certificate for r in s.requests)
        }
        assert seen == {name for name in run.configured if world.servers[name].context}
    if way != "directly":
        assert world.proxies[way].entries, "it went another way"
    # Nothing of it is printed, logged, reported, recorded or cached.
    assert world.shown_in(outcome.stdout + outcome.stderr) == []
    assert "mistyped-word" not in outcome.stdout + outcome.stderr
    for place in (target.path, tmp_path / "out", home / ".cache"):
        assert world.kept_in(place) == []


def _carry_out(
    run: Run, way: str, world: World, kedge: Kedge, home: Path, bundle: Path, folder: Path
) -> Outcome:
    """The command line of a scenario, saying as much as kedge can say."""
    identity = world.client.write_identity(folder / "client.pem")
    (home / ".netrc").write_text(run.netrc)
    (home / ".netrc").chmod(0o600)
    out = folder / "out"
    out.mkdir()
    environ = {"PIP_CERT": str(bundle), "PIP_CLIENT_CERT": str(identity), **run.environ}
    if "PYTHONPATH" in environ:
        environ["PYTHONPATH"] += f":{kedge.environ['PYTHONPATH']}"
    if way != "directly":
        environ["HTTPS_PROXY"] = environ["HTTP_PROXY"] = world.proxies[way].authorized_url
    words = ["-vvv", "--debug", "--log", str(out / "log"), "--retries=0", "--timeout=60"]
    words += ["--report", str(out / "report.json")]
    return kedge("install", *run.words, *words, environ=environ)


def test_the_transcript_would_tell(world: World) -> None:
    """The measure itself: what it must notice, it notices."""
    import urllib.request

    world.forget()
    world.handlers["files"] = lambda _: Response(200, b"")
    secret = world.secrets["index"]
    for header, value in (
        ("Authorization", "Basic " + secret.spellings[-2]),
        ("X-Any", f"x={secret.password}"),
        ("Cookie", "a=b"),
    ):
        request = urllib.request.Request(world.url("plain"), headers={header: value})
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=60)
        assert len(world.leaks()) == 1
        world.forget()
    assert world.shown_in(f"<{secret.spellings[1]}>") == ["index"]


@pytest.mark.parametrize(
    "words",
    [
        ["config", "list"],
        ["trust", "show"],
        ["list", "--outdated"],
        ["download", "apple"],
        ["install", "apple", "--dry-run", "--report", "-"],
        ["install", "apple==99"],
        ["install", "no-such-project"],
        ["install", "--timeout=soon", "apple"],
    ],
    ids=" ".join,
)
def test_other_commands_show_no_password(
    words: list[str], world: World, plain_kedge: Kedge, target: Venv, bundle: Path, tmp_path: Path
) -> None:
    """From a variable and from a configuration file, where passwords are most often."""
    world.handlers["index"] = index_of(*ALL)
    url = world.url("index", "/simple/", secret=True)
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {url}\ncert = {bundle}\n")
    by_file = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    by_variable = {"PIP_INDEX_URL": url, "PIP_CERT": str(bundle)}
    for environ in (by_file, by_variable):
        log = tmp_path / "out" / "log"
        outcome = plain_kedge(*words, "-vvv", "--log", log, environ=environ)
        outcome.without_traceback()
        assert world.shown_in(outcome.stdout + outcome.stderr) == [], outcome
        assert world.kept_in(log.parent) == []
