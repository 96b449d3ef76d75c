"""Questions on a real terminal: a user name, a password, a passphrase; asked once, never shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.indexes import SimpleIndex
from support.pki import Authority
from support.servers import Response, Server, with_basic_auth
from support.terminals import needs_terminals, on_terminal
from support.venvs import Kedge, Venv

pytestmark = needs_terminals

USER, PASSWORD = "ana", "s3cr&t wörd"


@pytest.fixture
def guarded(catalogue: SimpleIndex, private_ca: Authority) -> Iterator[Server]:
    handler = with_basic_auth(catalogue, USER, PASSWORD)
    with Server(handler, certificate=private_ca.leaf("localhost")) as server:
        yield server


@pytest.fixture
def asked(kedge: Kedge, guarded: Server) -> Kedge:
    """kedge set up for an index that wants a password that nobody knows yet."""
    return kedge.having(PIP_INDEX_URL=f"{guarded.url}/simple/", PIP_KEYRING_PROVIDER="disabled")


class TestAPassword:
    def test_is_asked_for_once_by_however_many_requests(
        self, asked: Kedge, target: Venv, guarded: Server
    ) -> None:
        with on_terminal(asked, "install", "apple", "banana", "tool") as session:
            session.answer(f"User for {guarded.hostport}: ", USER)
            session.answer("Password: ", PASSWORD)
            outcome = session.ended().succeeded()
        assert outcome.stderr.count("Password:") == 1
        assert outcome.stderr.count("asks for a user name") == 1
        assert PASSWORD not in outcome.stderr
        assert target.versions() == {"apple": "2.0", "banana": "2.0", "tool": "1.0"}

    def test_may_be_typed_again(self, asked: Kedge, target: Venv, guarded: Server) -> None:
        with on_terminal(asked, "install", "banana") as session:
            session.answer("User for", USER)
            session.answer("Password: ", "wrong-word")
            session.wait_for("does not accept the credentials of user 'ana'")
            session.answer("User for", USER)
            session.answer("Password: ", PASSWORD)
            session.ended().succeeded()
        assert target.versions() == {"banana": "2.0"}

    def test_that_is_wrong_three_times_is_a_refusal(
        self, asked: Kedge, target: Venv, guarded: Server
    ) -> None:
        with on_terminal(asked, "install", "apple", "banana") as session:
            for attempt in range(3):
                session.answer("User for", USER)
                session.answer("Password: ", f"wrong-{attempt}")
            outcome = session.ended()
        outcome.failed(1, saying=["401", "user 'ana'"])
        assert "wrong-" not in outcome.stderr
        assert target.versions() == {}
        tried = {request.credentials for request in guarded.requests}
        assert tried == {None, *((USER, f"wrong-{attempt}") for attempt in range(3))}

    @pytest.mark.parametrize("key", ["\n", "\x04"], ids=["enter", "end-of-input"])
    def test_none_is_a_refusal(self, asked: Kedge, key: str) -> None:
        with on_terminal(asked, "install", "apple", "banana") as session:
            session.wait_for("User for")
            session.type(key)
            outcome = session.ended()
        outcome.failed(1, saying=["401"])
        assert outcome.stderr.count("User for") == 1

    def test_of_the_user_in_the_url_alone(
        self, kedge: Kedge, target: Venv, guarded: Server
    ) -> None:
        url = f"https://{USER}@{guarded.hostport}/simple/"
        with on_terminal(kedge, "install", "banana", "-i", url) as session:
            session.answer("Password for the user name in the URL: ", PASSWORD)
            outcome = session.ended().succeeded()
        assert "User for" not in outcome.stderr
        assert target.versions() == {"banana": "2.0"}

    def test_goes_to_the_origin_that_asked_alone(
        self, kedge: Kedge, target: Venv, catalogue: SimpleIndex, private_ca: Authority
    ) -> None:
        leaf = private_ca.leaf("127.0.0.1")
        with Server(catalogue, certificate=leaf, host="127.0.0.1") as files:
            pages = with_basic_auth(SimpleIndex(catalogue.files, files_at=files.url), USER, "pw")
            with (
                Server(pages, certificate=private_ca.leaf("localhost")) as index,
                on_terminal(kedge, "install", "banana", "-i", f"{index.url}/simple/") as session,
            ):
                session.answer("User for", USER)
                session.answer("Password: ", "pw")
                session.ended().succeeded()
            assert files.requests
            assert not [r for r in files.requests if r.headers["Authorization"]]

    def test_is_known_to_the_run_after_a_requirements_file_behind_it(
        self, asked: Kedge, target: Venv, guarded: Server, catalogue: SimpleIndex
    ) -> None:
        def handler(request: object) -> Response:
            if getattr(request, "path", "") == "/req.txt":
                return Response(200, b"--extra-index-url https://localhost:1/\nbanana\n")
            return catalogue(request)  # type: ignore[arg-type]

        guarded.handler = with_basic_auth(handler, USER, PASSWORD)
        with on_terminal(
            asked, "install", "-r", f"{guarded.url}/req.txt", "--retries=0"
        ) as session:
            session.answer("User for", USER)
            session.answer("Password: ", PASSWORD)
            outcome = session.ended()
        assert outcome.stderr.count("User for") == 1, outcome
        # The second index is not there: the first was asked with the credentials by then.
        assert {r.credentials for r in guarded.requests if "simple" in r.path} <= {
            (USER, PASSWORD), None,
        }  # fmt: skip

    def test_is_not_asked_for(self, asked: Kedge, guarded: Server) -> None:
        cases: list[tuple[tuple[str, ...], tuple[int, ...]]] = [
            (("--no-input",), ()),
            ((), (0,)),
            ((), (2,)),
        ]
        for words, hidden in cases:
            with on_terminal(asked, "install", "banana", *words, hide=hidden) as session:
                outcome = session.ended()
            assert outcome.code == 1, outcome
            assert "User for" not in outcome.stderr

    def test_over_a_connection_that_is_not_verified_it_says_so(
        self, plain_kedge: Kedge, guarded: Server
    ) -> None:
        words = ("banana", "-i", f"{guarded.url}/simple/", "--trusted-host", "localhost")
        with on_terminal(plain_kedge, "install", *words) as session:
            session.wait_for("NOT verified")
            session.answer("User for", USER)
            session.answer("Password: ", PASSWORD)
            session.ended().succeeded()

    def test_what_the_server_calls_itself_cannot_change_the_screen(
        self, asked: Kedge, guarded: Server
    ) -> None:
        def handler(_: object) -> Response:
            header = 'Basic realm="\x1b[2JYour bank"'
            return Response(401, b"", {"WWW-Authenticate": header})

        guarded.handler = handler
        with on_terminal(asked, "install", "banana") as session:
            session.wait_for("Your bank")
            session.type("\n")
            session.ended().failed(1)
            assert "\x1b[2J" not in session.raw


class TestInterrupted:
    @pytest.mark.parametrize("question", ["User for", "Password: "])
    def test_ctrl_c_ends_it_and_leaves_the_terminal_as_it_was(
        self, asked: Kedge, target: Venv, question: str
    ) -> None:
        before = target.snapshot()
        with on_terminal(asked, "install", "apple", "banana") as session:
            if question == "Password: ":
                session.answer("User for", USER)
            session.wait_for(question)
            session.type("\x03")
            outcome = session.ended()
            assert session.echoes
        outcome.failed(1, saying=["Interrupted"])
        assert target.snapshot() == before

    def test_the_password_is_not_echoed(self, asked: Kedge) -> None:
        with on_terminal(asked, "install", "banana") as session:
            session.answer("User for", USER)
            session.wait_for("Password: ")
            session.wait_until_hidden()
            session.type(f"{PASSWORD}\n")
            session.ended().succeeded()
            assert session.echoes


class TestAPassphrase:
    @pytest.fixture
    def locked(self, catalogue: SimpleIndex, private_ca: Authority) -> Iterator[Server]:
        leaf = private_ca.leaf("localhost")
        with Server(
            catalogue, certificate=leaf, client_ca=private_ca, client_required=True
        ) as server:
            yield server

    @pytest.fixture(params=["pem", "pkcs12", "two-files"])
    def words(
        self, request: pytest.FixtureRequest, private_ca: Authority, tmp_path: Path
    ) -> list[str]:
        client = private_ca.client()
        path = tmp_path / "client.pem"
        if request.param == "pkcs12":
            path.write_bytes(client.pkcs12(PASSWORD))
        elif request.param == "pem":
            client.write_identity(path, password=PASSWORD)
        else:
            client.write_pem(path)
            key = client.write_identity(tmp_path / "client.key", password=PASSWORD)
            return ["--client-cert", str(path), "--client-key", str(key)]
        return ["--client-cert", str(path)]

    def test_is_asked_for(
        self, kedge: Kedge, target: Venv, locked: Server, words: list[str]
    ) -> None:
        line = ("banana", "-i", f"{locked.url}/simple/", *words)
        with on_terminal(kedge, "install", *line) as session:
            session.answer("Passphrase of", "wrong")
            session.wait_for("That is not it.")
            session.answer("Passphrase of", PASSWORD)
            outcome = session.ended().succeeded()
        assert PASSWORD not in outcome.stderr
        assert target.versions() == {"banana": "2.0"}

    def test_is_taken_from_the_variable(
        self, kedge: Kedge, target: Venv, locked: Server, words: list[str]
    ) -> None:
        line = ("banana", "-i", f"{locked.url}/simple/", *words)
        environ = {"PIP_CLIENT_KEY_PASSPHRASE": PASSWORD}
        kedge("install", *line, environ=environ).succeeded()
        assert target.versions() == {"banana": "2.0"}

    @pytest.mark.parametrize("variable", [None, "wrong"])
    def test_missing_or_wrong_is_said_before_any_connection(
        self, kedge: Kedge, locked: Server, words: list[str], variable: str | None
    ) -> None:
        line = ("banana", "-i", f"{locked.url}/simple/", *words)
        environ = {"PIP_CLIENT_KEY_PASSPHRASE": variable} if variable else {}
        outcome = kedge("install", *line, environ=environ)
        outcome.failed(1, saying=["--client-cert", "PIP_CLIENT_KEY_PASSPHRASE", "passphrase"])
        assert locked.connections == 0

    def test_ctrl_c(self, kedge: Kedge, locked: Server, words: list[str], tmp_path: Path) -> None:
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        kedge = kedge.having(TMPDIR=str(temporary))
        line = ("banana", "-i", f"{locked.url}/simple/", *words)
        with on_terminal(kedge, "install", *line) as session:
            session.wait_for("Passphrase of")
            session.type("\x03")
            session.ended(timeout=20).failed(1, saying=["Interrupted"])
            assert session.echoes
        assert list(temporary.iterdir()) == []
        assert locked.connections == 0


def test_without_a_certificate_a_key_is_a_mistake(kedge: Kedge, tmp_path: Path) -> None:
    kedge("install", "banana", "--client-key", "k.pem").failed(2, saying=["--client-key"])
    kedge("install", "banana", environ={"PIP_CLIENT_KEY": "k.pem"}).failed(
        3, saying=["PIP_CLIENT_KEY"]
    )
