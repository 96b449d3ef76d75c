"""Files that are fetched before the versions are chosen: never more than a head start."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kedge.cache import open_cache
from kedge.pipeline.parallel import Lane
from kedge.processors import processors
from support.indexes import SimpleIndex
from support.pki import Authority
from support.processes import children, listed, wait_until
from support.servers import Fault, Faults, Request, Response, Server, body, never, slow, status
from support.venvs import Venv
from support.wheels import wheel

#: A version that no duration reads like: how long things took is told, too.
NEWER = "2.71828"
APART = f"/files/apart-{NEWER}-py3-none-any.whl"
HOPELESS = "/files/hopeless-1.0-py3-none-any.whl"
LATE = "/files/late-1.0-py3-none-any.whl"
ORPHAN = "/files/orphan-1.0-py3-none-any.whl"
_MANY = ["top", "deep", "orphan", "bound", "middle", "late", "shallow", "root"]
DEEP = "/files/deep-1.0-py3-none-any.whl"

Run = Callable[..., int]


def cached(cache: Path) -> set[str]:
    return {f"{wheel.name} {wheel.version}" for wheel in open_cache(cache).list()}


def files_fetched(server: Server) -> list[str]:
    return [path for path in server.paths if path.endswith(".whl")]


@pytest.fixture
def index() -> SimpleIndex:
    """The newer ``apart`` is settled on first, and given up when ``late`` turns out to exclude
    it.
    """
    return SimpleIndex(
        [
            wheel("top", requires=["apart", "middle"]),
            wheel("apart", "1.0"),
            wheel("apart", NEWER),
            wheel("middle", requires=["late"]),
            wheel("late", requires=["apart<2"]),
            wheel("deep"),
            wheel("shallow", requires=["deep", "late"]),
            wheel("root", requires=["branch", "bound"]),
            wheel("branch", "1.0"),
            wheel("branch", "2.0", requires=["orphan"]),
            wheel("bound", requires=["branch<2"]),
            wheel("orphan"),
        ]
    )


@pytest.fixture
def faults(index: SimpleIndex) -> Faults:
    """What is needed to learn of the conflict comes late: what is begun too early has begun."""
    faults = Faults(index)
    faults.always("/simple/late/", slow(1.0))
    return faults


@pytest.fixture
def server(faults: Faults, private_ca: Authority) -> Iterator[Server]:
    with Server(faults, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        yield server


def after(path: str, server: Server) -> Fault:
    """An answer that comes once somebody has asked for that: the head start is used."""

    def fault(answer: Response) -> Response:
        wait_until(lambda: path in server.paths)
        return answer

    return fault


#: For what the server waits with, and is not to be given up on.
PATIENT = ("--timeout", "600")


def test_what_is_not_chosen_leaves_no_trace_but_in_the_cache(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv, cache: Path,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def once_it_is_cached(answer: Response) -> Response:
        wait_until(lambda: f"apart {NEWER}" in cached(cache))
        return answer

    faults.always("/simple/late/", once_it_is_cached)
    report = tmp_path / "report.json"
    assert run("install", venv, "top", "--cert", bundle, "--report", report, *PATIENT) == 0
    assert APART in server.paths
    expected = {"top": "1.0", "apart": "1.0", "middle": "1.0", "late": "1.0"}
    assert venv.versions() == expected
    items = json.loads(report.read_text())["install"]
    assert {item["metadata"]["name"]: item["metadata"]["version"] for item in items} == expected
    told = capsys.readouterr().err
    assert NEWER not in told
    assert {"apart 1.0", f"apart {NEWER}"} <= cached(cache)


@pytest.mark.parametrize("fault", [status(404), body(b"damaged")], ids=["missing", "damaged"])
def test_what_fails_and_is_not_chosen_is_no_failure(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv, cache: Path,
    capsys: pytest.CaptureFixture[str], fault: Fault,
) -> None:  # fmt: skip
    asked = after(APART, server)
    faults.always(APART, fault)
    faults.always("/simple/late/", lambda answer: slow(1.0)(asked(answer)))  # it has time to fail
    assert run("install", venv, "top", "--cert", bundle, *PATIENT) == 0
    assert APART in server.paths
    assert venv.versions()["apart"] == "1.0"
    assert NEWER not in capsys.readouterr().err
    assert f"apart {NEWER}" not in cached(cache)


@listed
@pytest.mark.parametrize(
    ("words", "processes"),
    [
        pytest.param(_MANY, min(2, processors()), id="many"),
        pytest.param(_MANY[:4], 0, id="few"),
        pytest.param([*_MANY, "--dry-run"], 0, id="nothing to unpack"),
    ],
)
def test_what_unpacks_begins_before_the_first_answer(
    run: Run, index: SimpleIndex, private_ca: Authority, bundle: Path, venv: Venv,
    words: list[str], processes: int,
) -> None:  # fmt: skip
    begun: list[set[int]] = []

    def serve(request: Request) -> Response:
        begun.append({*children(os.getpid())} - before)
        return index(request)

    before = {*children(os.getpid())}
    with Server(serve, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        where = ["--cert", str(bundle), "-i", f"{server.url}/simple/"]
        assert run("install", venv, *words, *where) == 0
    assert len(begun[0]) == processes
    assert not {*children(os.getpid())} - before


def test_what_is_given_up_is_not_waited_for(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv, cache: Path
) -> None:
    faults.always(APART, never)
    faults.always("/simple/late/", after(APART, server))
    assert run("install", venv, "top", "--cert", bundle, *PATIENT) == 0
    assert APART in server.paths
    assert f"apart {NEWER}" not in cached(cache)


def test_what_nothing_chosen_needs_is_not_waited_for(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv, cache: Path
) -> None:
    """No version of it was refused: what needs it was given up."""
    faults.always(ORPHAN, never)
    faults.always("/simple/bound/", after(ORPHAN, server))
    assert run("install", venv, "root", "--cert", bundle, *PATIENT) == 0
    assert ORPHAN in server.paths
    assert venv.versions() == {"root": "1.0", "branch": "1.0", "bound": "1.0"}
    assert "orphan 1.0" not in cached(cache)


def test_what_no_verified_page_vouches_for_is_not_fetched(
    run: Run, server: Server, venv: Venv
) -> None:
    assert run("install", venv, "shallow", "--trusted-host", "localhost") == 0
    assert server.paths.index(f"{LATE}.metadata") < server.paths.index(DEEP)


def test_whoever_brings_more_than_there_is_room_for_waits() -> None:
    lane = Lane(1, "test", room=10)
    gate, taken, brought, done = (threading.Event() for _ in range(4))

    def hold() -> None:
        taken.set()
        gate.wait()

    def bring() -> None:
        lane.put(5, done.set)
        brought.set()

    lane.put(1, hold)
    assert taken.wait(60)
    lane.put(20, lambda: None)
    other = threading.Thread(target=bring, daemon=True)
    other.start()
    assert not brought.wait(0.2)
    gate.set()
    assert brought.wait(60)
    assert done.wait(60)
    lane.close()
    lane.join()
    other.join()


def test_what_fails_and_is_chosen_fails_as_ever(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    faults.always(DEEP, body(b"damaged"))
    assert run("install", venv, "shallow", "--cert", bundle) == 1
    assert DEEP in server.paths
    assert "deep-1.0-py3-none-any.whl" in capsys.readouterr().err
    assert venv.versions() == {}


def test_files_come_while_pages_are_waited_for(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv
) -> None:
    faults.clear()
    faults.always(f"{LATE}.metadata", after(DEEP, server))
    assert run("install", venv, "shallow", "--cert", bundle, *PATIENT) == 0
    assert server.paths.index(DEEP) < server.paths.index(LATE)
    assert files_fetched(server).count(DEEP) == 1


def test_files_come_while_the_search_waits_for_a_page(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv
) -> None:
    """It has not come to ``deep`` then, of which only one file fits."""
    faults.always("/simple/late/", after(DEEP, server))
    assert run("install", venv, "shallow", "--cert", bundle, *PATIENT) == 0
    assert server.paths.index(DEEP) < server.paths.index(f"{LATE}.metadata")


def test_what_hash_checking_refuses_is_not_fetched(
    run: Run, server: Server, index: SimpleIndex, bundle: Path, venv: Venv, tmp_path: Path
) -> None:
    shallow = next(file for file in index.files if file.name == "shallow")
    digest = hashlib.sha256(shallow.data).hexdigest()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"shallow==1.0 --hash=sha256:{digest}\n")
    assert run("install", venv, "-r", requirements, "--cert", bundle) == 1
    assert not {DEEP, LATE} & set(server.paths)
    assert venv.versions() == {}


def test_a_dry_run_fetches_no_file(run: Run, server: Server, bundle: Path, venv: Venv) -> None:
    assert run("install", venv, "top", "--cert", bundle, "--dry-run") == 0
    assert files_fetched(server) == []


def test_a_request_that_cannot_be_met_ends_what_was_begun(
    run: Run, server: Server, faults: Faults, index: SimpleIndex, bundle: Path, venv: Venv,
) -> None:  # fmt: skip
    index.add(wheel("hopeless", requires=["apart>=2", "late"]))
    faults.always(HOPELESS, never)
    faults.always("/simple/late/", after(HOPELESS, server))
    assert run("install", venv, "hopeless", "--cert", bundle, *PATIENT) == 1
    assert HOPELESS in server.paths
    assert venv.versions() == {}
