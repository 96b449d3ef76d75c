"""Files that are fetched before the versions are chosen: never more than a head start."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kedge.cache import open_cache
from kedge.pipeline.parallel import Lane
from kedge.processors import processors
from support.indexes import SimpleIndex
from support.pki import Authority
from support.processes import children, listed
from support.servers import Fault, Faults, Request, Response, Server, body, slow, status
from support.venvs import Venv
from support.wheels import wheel

APART_2 = "/files/apart-2.0-py3-none-any.whl"
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
    """``apart`` 2.0 is settled on first, and given up when ``late`` turns out to exclude it."""
    return SimpleIndex(
        [
            wheel("top", requires=["apart", "middle"]),
            wheel("apart", "1.0"),
            wheel("apart", "2.0"),
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
    """What is needed to learn of the conflict comes so late that the head start is used."""
    faults = Faults(index)
    faults.always("/simple/late/", slow(1.0))
    return faults


@pytest.fixture
def server(faults: Faults, private_ca: Authority) -> Iterator[Server]:
    with Server(faults, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        yield server


def test_what_is_not_chosen_leaves_no_trace_but_in_the_cache(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv, cache: Path,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def once_it_is_cached(answer: Response) -> Response:
        deadline = time.monotonic() + 60
        while "apart 2.0" not in cached(cache) and time.monotonic() < deadline:
            time.sleep(0.02)
        return answer

    faults.always("/simple/late/", once_it_is_cached)
    report = tmp_path / "report.json"
    assert run("install", venv, "top", "--cert", bundle, "--report", report) == 0
    assert APART_2 in server.paths
    expected = {"top": "1.0", "apart": "1.0", "middle": "1.0", "late": "1.0"}
    assert venv.versions() == expected
    items = json.loads(report.read_text())["install"]
    assert {item["metadata"]["name"]: item["metadata"]["version"] for item in items} == expected
    told = capsys.readouterr().err
    assert "2.0" not in told
    assert {"apart 1.0", "apart 2.0"} <= cached(cache)


@pytest.mark.parametrize("fault", [status(404), body(b"damaged")], ids=["missing", "damaged"])
def test_what_fails_and_is_not_chosen_is_no_failure(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv, cache: Path,
    capsys: pytest.CaptureFixture[str], fault: Fault,
) -> None:  # fmt: skip
    faults.always(APART_2, fault)
    assert run("install", venv, "top", "--cert", bundle) == 0
    assert APART_2 in server.paths
    assert venv.versions()["apart"] == "1.0"
    assert "2.0" not in capsys.readouterr().err
    assert "apart 2.0" not in cached(cache)


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
    faults.always(APART_2, slow(60))
    began = time.monotonic()
    assert run("install", venv, "top", "--cert", bundle) == 0
    assert APART_2 in server.paths
    assert time.monotonic() - began < 30
    assert "apart 2.0" not in cached(cache)


def test_what_nothing_chosen_needs_is_not_waited_for(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv, cache: Path
) -> None:
    """No version of it was refused: what needs it was given up."""
    faults.always("/simple/bound/", slow(1.0))
    faults.always(ORPHAN, slow(60))
    began = time.monotonic()
    assert run("install", venv, "root", "--cert", bundle) == 0
    assert ORPHAN in server.paths
    assert time.monotonic() - began < 30
    assert venv.versions() == {"root": "1.0", "branch": "1.0", "bound": "1.0"}
    assert "orphan 1.0" not in cached(cache)


def test_what_no_verified_page_vouches_for_is_not_fetched(
    run: Run, server: Server, venv: Venv
) -> None:
    assert run("install", venv, "shallow", "--trusted-host", "localhost") == 0
    late = "/files/late-1.0-py3-none-any.whl.metadata"
    assert server.paths.index(late) < server.paths.index(DEEP)


def test_whoever_brings_more_than_there_is_room_for_waits() -> None:
    lane = Lane(1, "test", room=10)
    gate, taken, brought, done = (threading.Event() for _ in range(4))

    def hold() -> None:
        taken.set()
        gate.wait(20)

    def bring() -> None:
        lane.put(5, done.set)
        brought.set()

    lane.put(1, hold)
    assert taken.wait(20)
    lane.put(20, lambda: None)
    other = threading.Thread(target=bring)
    other.start()
    assert not brought.wait(0.2)
    gate.set()
    assert brought.wait(20)
    assert done.wait(20)
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
    faults.always("/files/late-1.0-py3-none-any.whl.metadata", slow(1.0))
    assert run("install", venv, "shallow", "--cert", bundle) == 0
    assert server.paths.index(DEEP) < server.paths.index(LATE)
    assert files_fetched(server).count(DEEP) == 1


def test_files_come_while_the_search_waits_for_a_page(
    run: Run, server: Server, bundle: Path, venv: Venv
) -> None:
    """It has not come to ``deep`` then, of which only one file fits."""
    assert run("install", venv, "shallow", "--cert", bundle) == 0
    late = "/files/late-1.0-py3-none-any.whl.metadata"
    assert server.paths.index(DEEP) < server.paths.index(late)


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
    run: Run, server: Server, faults: Faults, index: SimpleIndex, bundle: Path, venv: Venv
) -> None:
    index.add(wheel("hopeless", requires=["apart>=2", "late"]))
    faults.always(HOPELESS, slow(60))
    began = time.monotonic()
    assert run("install", venv, "hopeless", "--cert", bundle) == 1
    assert HOPELESS in server.paths
    assert time.monotonic() - began < 30
    assert venv.versions() == {}
