"""What goes wrong in use: one clear error, its exit code, no traceback, nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from support import pki, surroundings
from support.indexes import SimpleIndex
from support.pki import Authority
from support.processes import wait_until
from support.proxies import free_port
from support.servers import (
    Faults,
    Response,
    Server,
    body,
    cut,
    hang_up,
    instead,
    never,
    status,
)
from support.venvs import Kedge, Outcome, Venv, interrupt
from support.wheels import (
    Artifact,
    tampered,
    truncated,
    wheel,
    with_member,
    with_symlink,
    with_wrong_record_hash,
    without_member,
)

BANANA = "/files/banana-2.0-py3-none-any.whl"


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            pytest.param(["install"], "install", id="nothing-to-install"),
            pytest.param(["install", "--no-such-flag", "x"], "--no-such-flag", id="flag"),
            pytest.param(["install", "--use-feature=no-such", "x"], "no-such", id="feature"),
            pytest.param(["install", "x", "--cert", ""], "--cert", id="empty-path"),
            pytest.param(["no-such-command"], "no-such-command", id="command"),
            pytest.param(["install", "x", "--timeout", "soon"], "soon", id="value"),
            pytest.param(
                ["install", "x", "--trusted-host", "https://h/"], "https://h/", id="trusted-host"
            ),
        ],
    )
    def test_a_wrong_command_line_ends_with_2(
        self, kedge: Kedge, words: list[str], said: str
    ) -> None:
        kedge = Kedge(kedge.environ)
        kedge(*words).failed(2, saying=[said])

    @pytest.mark.parametrize(
        ("name", "value"),
        [("PIP_USE_FEATURE", "no-such"), ("PIP_TIMEOUT", "soon"), ("PIP_NO_DEPS", "perhaps")],
    )
    def test_a_bad_variable_ends_with_3(self, kedge: Kedge, name: str, value: str) -> None:
        kedge("install", "banana", environ={name: value}).failed(3, saying=[name, value])

    def test_a_bad_file_ends_with_3(self, kedge: Kedge, tmp_path: Path) -> None:
        file = tmp_path / "pip.conf"
        file.write_text("[global]\ntimeout = soon\n")
        kedge("install", "banana", environ={"PIP_CONFIG_FILE": str(file)}).failed(
            3, saying=[str(file), "soon"]
        )

    @pytest.mark.parametrize("word", ["not a requirement!", "==1.0", "banana==", "banana @ "])
    def test_what_is_no_requirement(self, kedge: Kedge, target: Venv, word: str) -> None:
        outcome = kedge("install", word)
        outcome.failed(outcome.code, saying=[word.split()[0]])
        assert outcome.code in {1, 2}


@pytest.mark.skipif(os.name == "nt", reason="Windows names files in Unicode")
def test_a_name_that_the_locale_cannot_spell(kedge: Kedge, tmp_path: Path) -> None:
    """Python's own choice for such a locale is UTF-8; some switch that off."""
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    place = (tmp_path / "\u00e9" / "demo-1.0-py3-none-any.whl").as_uri()
    probe = subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.getfilesystemencoding())"],
        env={**kedge.environ, **locale}, capture_output=True, text=True,
    )  # fmt: skip
    if probe.stdout.strip() == "utf-8":
        pytest.skip("this system spells every name")
    outcome = kedge("install", f"demo @ {place}", environ=locale)
    outcome.failed(1, saying=["ascii", "PYTHONUTF8"])
    assert "bug" not in outcome.stderr


class TestBundles:
    """What is wrong with a bundle is said before anything is connected to."""

    @pytest.fixture(
        params=["missing", "empty", "page", "key", "damaged", "garbled", "no-certificate"]
    )
    def bad(self, request: pytest.FixtureRequest, tmp_path: Path, private_ca: Authority) -> Path:
        contents = {
            "empty": b"",
            "page": b"<!DOCTYPE html><html><body>Sign in</body></html>",
            "key": private_ca.key_pem,
            "damaged": private_ca.pem + pki.damaged_pem(private_ca),
            "garbled": private_ca.pem + pki.garbled_pem(private_ca),
            "no-certificate": b"just a note\n",
        }
        path = tmp_path / f"{request.param}.pem"
        if request.param in contents:
            path.write_bytes(contents[request.param])
        return path

    @pytest.mark.parametrize("way", ["--cert", "PIP_CERT", "REQUESTS_CA_BUNDLE", "--extra-cert"])
    def test_a_bad_bundle(
        self, plain_kedge: Kedge, index_url: str, server: Server, bad: Path, way: str
    ) -> None:
        before = server.connections
        words = [way, str(bad)] if way.startswith("--") else []
        environ = {} if words else {way: str(bad)}
        outcome = plain_kedge("install", "banana", "-i", index_url, *words, environ=environ)
        outcome.failed(1, saying=[str(bad), way])
        assert server.connections == before

    def test_a_damaged_block_is_named(
        self, plain_kedge: Kedge, index_url: str, tmp_path: Path, private_ca: Authority
    ) -> None:
        path = tmp_path / "two.pem"
        path.write_bytes(private_ca.pem + pki.damaged_pem(private_ca))
        outcome = plain_kedge("install", "banana", "-i", index_url, "--cert", path).failed(1)
        line = private_ca.pem.count(b"\n") + 1
        assert str(line) in outcome.text

    @pytest.mark.parametrize("form", ["der", "pkcs7", "pkcs7-pem", "utf-16", "bom", "folder"])
    def test_every_good_form(
        self,
        plain_kedge: Kedge,
        target: Venv,
        index_url: str,
        tmp_path: Path,
        private_ca: Authority,
        form: str,
    ) -> None:
        path = tmp_path / "bundle"
        match form:
            case "folder":
                path.mkdir()
                (path / "README").write_text("not a certificate\n")
                private_ca.write_pem(path / "any-name.crt")
            case _:
                forms = {
                    "der": private_ca.der,
                    "pkcs7": pki.pkcs7_file(private_ca),
                    "pkcs7-pem": pki.pkcs7_file(private_ca, pem=True),
                    "utf-16": private_ca.pem.decode().encode("utf-16"),
                    "bom": b"\xef\xbb\xbf" + private_ca.pem,
                }
                path.write_bytes(forms[form])
        plain_kedge("install", "banana", "-i", index_url, "--cert", path).succeeded()
        assert target.versions() == {"banana": "2.0"}


class TestPlaces:
    def test_a_url_that_is_none(self, kedge: Kedge) -> None:
        for url in ("https://", "nonsense", "https://[::1/simple", "https://localhost:none/"):
            outcome = kedge("install", "banana", "-i", url)
            outcome.failed(outcome.code)
            assert outcome.code in {1, 2}

    def test_a_host_that_is_not_there(self, kedge: Kedge) -> None:
        words = ("-i", "https://index.invalid/simple", "--retries", "0")
        outcome = kedge("install", "banana", *words).failed(1, saying=["index.invalid"])
        assert "no matching distribution" not in outcome.text.lower()

    def test_a_port_where_nobody_listens(self, kedge: Kedge) -> None:
        port = free_port()
        words = ("-i", f"https://localhost:{port}/simple", "--retries", "0")
        kedge("install", "banana", *words).failed(1, saying=[f"localhost:{port}"])

    def test_plain_http_outside_loopback_is_refused(self, kedge: Kedge, target: Venv) -> None:
        # The guard in the child would end it with 97 if it tried to connect.
        outcome = kedge("install", "banana", "-i", "http://192.0.2.1/simple")
        outcome.failed(1, saying=["192.0.2.1", "--trusted-host"])

    def test_plain_http_on_loopback_is_not(
        self, kedge: Kedge, target: Venv, catalogue: SimpleIndex
    ) -> None:
        with Server(catalogue) as plain:
            kedge("install", "banana", "-i", f"{plain.url}/simple").succeeded()
        assert target.versions() == {"banana": "2.0"}

    def test_http_spoken_to_https(self, kedge: Kedge, catalogue: SimpleIndex) -> None:
        with Server(catalogue) as plain:
            url = f"https://localhost:{plain.port}/simple"
            kedge("install", "banana", "-i", url).failed(1, saying=[f"localhost:{plain.port}"])

    def test_a_page_that_is_no_index(
        self, kedge: Kedge, target: Venv, faults: Faults, server: Server
    ) -> None:
        answers = {
            "json": Response(200, b"{not json", {"Content-Type": "application/json"}),
            "pdf": Response(200, b"%PDF-1.7", {"Content-Type": "application/pdf"}),
            "future": Response(
                200,
                b'{"meta": {"api-version": "2.0"}, "name": "banana", "files": []}',
                {"Content-Type": "application/vnd.pypi.simple.v1+json"},
            ),
        }
        for answer in answers.values():
            faults.always("/simple/banana/", instead(answer))
            kedge("install", "banana").failed(1, saying=[server.hostport])

    @pytest.mark.parametrize("code", [403, 500, 503])
    def test_a_status_is_not_an_absence(
        self, kedge: Kedge, faults: Faults, server: Server, code: int
    ) -> None:
        faults.always("/simple/banana/", status(code))
        words = ("banana", "--retries", "1")
        kedge("install", *words).failed(1, saying=[str(code), server.hostport])

    def test_a_passing_trouble_is_got_over(
        self, kedge: Kedge, target: Venv, faults: Faults
    ) -> None:
        faults.next("/simple/banana/", hang_up(), status(503))
        faults.next(BANANA, status(502), cut(300))
        kedge("install", "banana").succeeded()
        assert target.versions() == {"banana": "2.0"}

    def test_a_server_that_does_not_answer(
        self, kedge: Kedge, faults: Faults, server: Server
    ) -> None:
        faults.always("/simple/banana/", never)
        words = ("banana", "--timeout", "1", "--retries", "0")
        kedge("install", *words).failed(1, saying=[server.hostport])


class TestProjects:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            pytest.param(["no-such-project"], ["no-such-project"], id="missing"),
            pytest.param(["apple==9"], ["apple", "2.0"], id="version"),
            pytest.param(["orphan"], ["nowhere-to-be-found", "orphan"], id="dependency"),
            pytest.param(["left", "right"], ["left", "right", "banana"], id="conflict"),
            pytest.param(["apple==1.0", "apple==1.1"], ["apple", "1.0", "1.1"], id="two-pins"),
            pytest.param(["grape"], ["grape"], id="other-platform"),
            pytest.param(["damson==2.0"], ["damson", ">=99"], id="other-python"),
        ],
    )
    def test_what_cannot_be_met(
        self, kedge: Kedge, target: Venv, words: list[str], said: list[str]
    ) -> None:
        kedge("install", *words).failed(1, saying=said)
        assert target.versions() == {}

    def test_a_constraint_that_excludes_everything_is_named(
        self, kedge: Kedge, tmp_path: Path
    ) -> None:
        (tmp_path / "limits.txt").write_text("apple>=9\n")
        outcome = kedge("install", "apple", "-c", tmp_path / "limits.txt")
        outcome.failed(1, saying=["apple>=9"])

    def test_a_source_distribution_that_only_binary_excludes(
        self, kedge: Kedge, target: Venv
    ) -> None:
        outcome = kedge("install", "fig", "--only-binary", "fig").failed(1, saying=["fig"])
        assert target.versions() == {}
        outcome.without_traceback()


class TestWheels:
    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            pytest.param(lambda w: with_member(w, "../outside.py", "x"), "..", id="traversal"),
            pytest.param(
                lambda w: with_member(w, "/outside-kedge.py", "x"), "outside-kedge", id="absolute"
            ),
            pytest.param(
                lambda w: with_member(w, "bad_one-1.0.data/scripts/../../../../x", "x"),
                "..",
                id="traversal-in-data",
            ),
            pytest.param(
                lambda w: with_member(w, "bad_one-1.0.data/nowhere/x", "x"), "nowhere", id="scheme"
            ),
            pytest.param(with_wrong_record_hash, "RECORD", id="record-hash"),
            pytest.param(lambda w: without_member(w, "WHEEL"), "WHEEL", id="no-wheel-file"),
            pytest.param(lambda w: without_member(w, "RECORD"), "RECORD", id="no-record"),
            pytest.param(truncated, "bad_one", id="truncated"),
            pytest.param(lambda w: with_symlink(w, "bad_one/link", "/"), "link", id="symlink"),
        ],
    )
    def test_a_wheel_that_must_not_be_installed(
        self,
        kedge: Kedge,
        target: Venv,
        private_ca: Authority,
        tmp_path: Path,
        spoil: Callable[[Artifact], Artifact],
        said: str,
    ) -> None:
        """With the right hash: it is the wheel itself that is wrong."""
        bad = spoil(wheel("bad-one", "1.0"))
        before = target.snapshot()
        with Server(SimpleIndex([bad]), certificate=private_ca.leaf("localhost")) as server:
            words = ("bad-one", "-i", f"{server.url}/simple")
            kedge("install", *words).failed(1, saying=[said])
        assert target.snapshot() == before
        assert not [path for path in tmp_path.rglob("outside*") if path.is_file()]
        assert not Path("/outside-kedge.py").exists()

    def test_a_file_that_does_not_have_the_stated_hash(
        self, kedge: Kedge, target: Venv, faults: Faults, catalogue: SimpleIndex
    ) -> None:
        """Of the right length: nothing but the hash tells it from the true one."""
        stated = next(f for f in catalogue.files if f.filename == BANANA.rpartition("/")[2])
        swapped = replace(stated, data=stated.data[:-1] + bytes([stated.data[-1] ^ 1]))
        faults.always(BANANA, body(swapped.data))
        outcome = kedge("install", "banana").failed(1, saying=["banana"])
        assert stated.sha256 in outcome.text
        assert swapped.sha256 in outcome.text
        assert target.versions() == {}

    @pytest.mark.parametrize(
        "spoil", [pytest.param(truncated, id="cut"), pytest.param(tampered, id="longer")]
    )
    def test_a_file_that_does_not_have_the_stated_size(
        self,
        kedge: Kedge,
        target: Venv,
        faults: Faults,
        catalogue: SimpleIndex,
        spoil: Callable[[Artifact], Artifact],
    ) -> None:
        stated = next(f for f in catalogue.files if f.filename == BANANA.rpartition("/")[2])
        faults.always(BANANA, body(spoil(stated).data))
        kedge("install", "banana").failed(1, saying=[str(len(stated.data)), "banana"])
        assert target.versions() == {}

    def test_nothing_is_changed_when_one_of_several_is_wrong(
        self, kedge: Kedge, target: Venv, faults: Faults
    ) -> None:
        kedge("install", "banana==1.0", "apple==1.0").succeeded()
        before = target.snapshot()
        faults.always(BANANA, body(b"no wheel at all"))
        kedge("install", "-U", "apple", "banana", "tool").failed(1, saying=["banana"])
        assert target.snapshot() == before


class TestTheMachine:
    def test_ctrl_c_while_downloading(
        self, kedge: Kedge, target: Venv, faults: Faults, server: Server
    ) -> None:
        before = target.snapshot()
        faults.always(BANANA, never)
        process = kedge.start("install", "banana", "--timeout", "600")
        wait_until(lambda: BANANA in server.paths)
        interrupt(process)
        stdout, stderr = process.communicate(timeout=60)
        outcome = Outcome(("install", "banana"), process.returncode, stdout, stderr)
        outcome.failed(1, saying=["Interrupted"])
        assert target.snapshot() == before
        faults.clear()
        kedge("install", "banana").succeeded()

    def test_a_reader_that_goes_away(self, kedge: Kedge) -> None:
        kedge("install", "apple").succeeded()
        command = kedge.line("list")
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as closed:
            done = subprocess.run(
                command, env=dict(kedge.environ), stdout=closed, stderr=subprocess.PIPE, text=True
            )
        assert "Traceback" not in done.stderr
        assert "BrokenPipe" not in done.stderr

    def test_a_limit_on_the_size_of_files(
        self, kedge: Kedge, target: Venv, private_ca: Authority
    ) -> None:
        """Any write can fail; here the system refuses one (``EFBIG``), on every POSIX."""
        resource = pytest.importorskip("resource")
        large = wheel("large", files={"large/data.bin": os.urandom(600_000)})
        before = target.snapshot()
        with Server(SimpleIndex([large]), certificate=private_ca.leaf("localhost")) as server:
            done = subprocess.run(
                kedge.line("install", "large", "-i", f"{server.url}/simple"),
                env=dict(kedge.environ),
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
                capture_output=True,
                text=True,
            )
        Outcome(("install", "large"), done.returncode, done.stdout, done.stderr).failed(1)
        assert target.snapshot() == before

    @pytest.mark.tool("unshare", "mount")
    def test_a_full_disk(self, kedge: Kedge, target: Venv, private_ca: Authority) -> None:
        """The environment lies on a file system of its own, with too little room."""
        large = wheel("large", files={f"large/{n}.bin": os.urandom(200_000) for n in range(5)})
        with Server(SimpleIndex([large]), certificate=private_ca.leaf("localhost")) as server:
            outcome, left = confined(
                kedge,
                ["install", "large", "-i", f"{server.url}/simple", "--link-mode", "copy"],
                site=target.site,
                mount='mount -t tmpfs -o size=500k tmpfs "$SITE"',
            )
        outcome.failed(1, saying=[str(target.site)])
        assert left == []

    def test_a_target_that_cannot_be_written(self, kedge: Kedge, target: Venv) -> None:
        """As root a mount that is read-only, else a folder without the permission."""
        if os.geteuid() == 0:
            if surroundings.missing_tools(["unshare", "mount"]):
                pytest.skip("as root this takes unshare and mount")
            outcome, left = confined(
                kedge,
                ["install", "banana"],
                site=target.site,
                mount='mount -t tmpfs -o ro tmpfs "$SITE"',
            )
        else:
            target.site.chmod(0o555)
            outcome = kedge("install", "banana")
            target.site.chmod(0o755)
            left = [path.name for path in target.site.iterdir()]
        outcome.failed(1, saying=[str(target.site)])
        assert left == []

    def test_a_target_that_is_a_file(self, kedge: Kedge, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("mine")
        kedge("install", "banana", "--target", tmp_path / "taken").failed(
            1, saying=[str(tmp_path / "taken")]
        )
        assert (tmp_path / "taken").read_text() == "mine"

    def test_a_python_that_is_none(self, kedge: Kedge, tmp_path: Path) -> None:
        for name in ("absent", "text"):
            path = tmp_path / name
            if name == "text":
                path.write_text("not a program")
            kedge = Kedge(kedge.environ)
            outcome = kedge("install", "banana", "--python", path)
            outcome.failed(outcome.code, saying=[str(path)])
            assert outcome.code in {1, 2}

    def test_a_cache_that_cannot_be_used_is_done_without(
        self, kedge: Kedge, target: Venv, tmp_path: Path
    ) -> None:
        (tmp_path / "taken").write_text("mine")
        kedge("install", "banana", "--cache-dir", tmp_path / "taken").succeeded()
        assert target.versions() == {"banana": "2.0"}


def confined(
    kedge: Kedge, words: list[str], *, site: Path, mount: str
) -> tuple[Outcome, list[str]]:
    """Runs kedge with something else mounted at ``site``, and lists what is there afterwards.

    In a mount namespace of its own: nobody else sees the mount, and it ends with the process.
    """
    unshare = surroundings.tool("unshare")
    environ = {**kedge.environ, "SITE": str(site)}
    probe = [unshare, "-rm", "sh", "-c", mount]
    tried = subprocess.run(probe, env=environ, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no mount namespace here: {tried.stderr.strip()}")
    marker = "left behind:"
    script = f'{mount} && "$@"; code=$?; echo; echo "{marker}"; ls -A "$SITE"; exit $code'
    command = [unshare, "-rm", "sh", "-c", script, "sh", *kedge.line(words[0], *words[1:])]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=90)
    stdout, _, left = done.stdout.partition(marker)
    return Outcome(tuple(words), done.returncode, stdout, done.stderr), left.split()


def test_the_tests_kedge_is_the_one_beside_them(kedge: Kedge) -> None:
    assert kedge("--version").succeeded().stdout.startswith("kedge ")
