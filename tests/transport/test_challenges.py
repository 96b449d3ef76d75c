"""What is done about a 401: which source is asked, when, how often, and for whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kedge.errors import HttpStatusError
from kedge.transport import Session
from kedge.transport.auth import Credentials
from kedge.transport.challenges import Challenges, realm_of
from kedge.transport.denials import schemes_of
from kedge.transport.keyring import Keyring
from support.pki import Certificate
from support.proxies import with_credentials
from support.servers import Handler, Request, Response, Server, redirect, tree, with_basic_auth
from transport.sessions import Opener, RawServer, saying

PAGE = tree({f"/simple/{n}/": b"page" for n in range(30)} | {"/": b"root"})
GOOD = ("ana", "right")


@dataclass
class Person:
    """Types these answers, one after the other; None is no answer."""

    answers: list[str | None]
    questions: list[str] = field(default_factory=list)
    secret: list[bool] = field(default_factory=list)
    abandoned: list[bool] = field(default_factory=list)

    def ask(
        self, question: str, *, secret: bool = False, abandoned: Callable[[], bool]
    ) -> str | None:
        self.questions.append(question)
        self.secret.append(secret)
        self.abandoned.append(abandoned())
        return self.answers.pop(0) if self.answers else None


class Entries:
    """A keyring's entries, by service and user name (None: any), as a provider."""

    def __init__(self, entries: dict[tuple[str, str | None], tuple[str, str]]) -> None:
        self.entries = entries
        self.asked: list[tuple[str, str | None]] = []
        self.kept: list[tuple[str, str, str]] = []

    def get(self, service: str, username: str | None) -> tuple[str, str] | None:
        self.asked.append((service, username))
        return self.entries.get((service, username))

    def set(self, service: str, username: str, password: str) -> None:
        self.kept.append((service, username, password))


def keyring_of(entries: Entries) -> Keyring:
    keyring = Keyring("disabled", {}, lambda _: None)
    keyring._provider = entries
    return keyring


@dataclass
class Case:
    """A guarded server, and sessions to it."""

    server: Server
    opened: Opener

    def session(
        self,
        *,
        person: Person | None = None,
        entries: Entries | None = None,
        index_urls: tuple[str, ...] | None = None,
        **options: Any,
    ) -> Session:
        keyring = keyring_of(entries) if entries is not None else None
        indexes = (f"{self.server.url}/simple/",) if index_urls is None else index_urls
        return self.opened(
            challenges=Challenges(keyring=keyring, prompt=person), index_urls=indexes, **options
        )

    @property
    def sent(self) -> list[tuple[str, str] | None]:
        return [request.credentials for request in self.server.requests]


@pytest.fixture
def case(opened: Opener, leaf: Certificate) -> Iterator[Case]:
    with Server(with_basic_auth(PAGE, *GOOD), certificate=leaf) as server:
        yield Case(server, opened)


class TestAPerson:
    def test_is_asked_once_for_an_origin(self, case: Case) -> None:
        person = Person([*GOOD])
        session = case.session(person=person)
        for number in range(3):
            session.get(f"{case.server.url}/simple/{number}/")
        assert len(person.questions) == 2
        assert case.server.hostport in person.questions[0]
        assert person.secret == [False, True]
        assert case.sent == [None, GOOD, GOOD, GOOD]

    def test_is_asked_once_by_parallel_requests(self, opened: Opener, leaf: Certificate) -> None:
        """All of them are refused before the first answer is typed."""
        refused = threading.Barrier(12, timeout=60)
        inner = with_basic_auth(PAGE, *GOOD)

        def handler(request: Request) -> Response:
            if request.credentials is None:
                refused.wait()
            return inner(request)

        person = Person([*GOOD])
        with Server(handler, certificate=leaf) as server, ThreadPoolExecutor(12) as pool:
            session = Case(server, opened).session(person=person)
            urls = [f"{server.url}/simple/{number}/" for number in range(12)]
            bodies = [answer.body for answer in pool.map(session.get, urls)]
        assert bodies == [b"page"] * 12
        assert len(person.questions) == 2

    def test_that_gives_up_is_left_alone(self, case: Case) -> None:
        person = Person([None])
        session = case.session(person=person)
        for _ in range(3):
            with pytest.raises(HttpStatusError):
                session.get(f"{case.server.url}/")
        assert len(person.questions) == 1
        assert case.sent == [None] * 3

    def test_is_told_of_a_wrong_answer_and_may_try_thrice(self, case: Case) -> None:
        person = Person(["ana", "1", "ana", "2", "bob", "3", "eve", "4"])
        session = case.session(person=person)
        for _ in range(2):
            with pytest.raises(HttpStatusError):
                session.get(f"{case.server.url}/")
        assert "does not accept the credentials of user 'ana'" in person.questions[2]
        tried = [("ana", "1"), ("ana", "2"), ("bob", "3")]
        assert case.sent == [None, *tried, None], "and later requests repeat no refused password"

    def test_the_same_wrong_answer_is_not_sent_twice(self, case: Case) -> None:
        person = Person(["ana", "1", "ana", "1", *GOOD])
        session = case.session(person=person)
        session.get(f"{case.server.url}/")
        assert case.sent == [None, ("ana", "1"), GOOD]

    def test_a_closed_session_asks_nothing(self, case: Case) -> None:
        person = Person([*GOOD])
        challenges = Challenges(prompt=person)
        session = case.opened(challenges=challenges)
        challenges.close()
        with pytest.raises(HttpStatusError):
            session.get(f"{case.server.url}/")
        assert person.questions == []

    def test_credentials_that_stopped_working_are_asked_for_again(self, case: Case) -> None:
        person = Person([*GOOD, "bob", "new"])
        session = case.session(person=person)
        session.get(f"{case.server.url}/")
        case.server.handler = with_basic_auth(PAGE, "bob", "new")
        session.get(f"{case.server.url}/")
        assert case.sent == [None, GOOD, GOOD, ("bob", "new")]

    def test_of_another_origin_knows_nothing_here(
        self, case: Case, opened: Opener, leaf: Certificate
    ) -> None:
        person = Person([*GOOD, "eve", "other"])
        session = case.session(person=person)
        session.get(f"{case.server.url}/")
        with Server(with_basic_auth(PAGE, "eve", "other"), certificate=leaf) as other:
            session.get(f"{other.url}/")
            assert [request.credentials for request in other.requests] == [None, ("eve", "other")]
        assert "none of the configured indexes" in person.questions[2]
        assert "none of the configured indexes" not in person.questions[0]


class TestTheOrder:
    def test_url_index_netrc_then_keyring_then_a_person(self, case: Case, tmp_path: Path) -> None:
        (tmp_path / ".netrc").write_text("machine localhost login n password netrc")
        environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
        index = f"{case.server.url}/simple/"
        entries = Entries(
            {(index, None): ("k", "index"), (case.server.hostport, None): ("k", "host")}
        )
        person = Person([*GOOD, "n"])
        session = case.session(person=person, entries=entries, environ=environ)
        session.get(index + "1/")
        assert case.sent == [("n", "netrc"), ("k", "index"), ("k", "host"), GOOD]
        case.server.forget()
        session = case.session(
            person=person,
            environ=environ,
            index_urls=(with_credentials(index, "i", "x"),),
        )
        with pytest.raises(HttpStatusError):
            session.get(with_credentials(index + "1/", "u", "x"))
        with pytest.raises(HttpStatusError):
            session.get(index + "1/")
        assert case.sent == [("u", "x"), ("i", "x")]

    def test_what_the_origin_accepted_before_comes_first(self, case: Case) -> None:
        """pip, too: the index needs no credentials of its own beside a requirements file's."""
        entries = Entries({})
        session = case.session(entries=entries)
        session.get(with_credentials(f"{case.server.url}/simple/1/", *GOOD))
        session.get(f"{case.server.url}/simple/2/")
        assert case.sent == [GOOD, None, GOOD]
        assert entries.asked == []

    def test_a_user_name_alone_takes_its_password_from_netrc(
        self, case: Case, tmp_path: Path
    ) -> None:
        (tmp_path / ".netrc").write_text("machine localhost login ana password right")
        environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
        url = f"{case.server.url}/simple/1/"
        case.session(environ=environ).get(url.replace("//", "//ana@"))
        assert case.sent == [GOOD]
        case.server.forget()
        with pytest.raises(HttpStatusError):
            case.session(environ=environ).get(url.replace("//", "//bob@"))
        assert case.sent == [("bob", "")], "another user's password is not his"

    def test_the_keyring_is_asked_for_the_user_in_the_url(self, case: Case) -> None:
        entries = Entries({(case.server.hostport, "ana"): GOOD})
        index = f"https://ana@{case.server.hostport}/simple"
        session = case.session(entries=entries, index_urls=(index,))
        session.get(f"{case.server.url}/simple/1/")
        assert entries.asked == [
            (f"{case.server.url}/simple/", "ana"),
            (case.server.hostport, "ana"),
        ]

    def test_the_keyring_is_not_asked_before_a_refusal(self, case: Case) -> None:
        case.server.handler = PAGE
        entries = Entries({})
        case.session(entries=entries).get(f"{case.server.url}/")
        assert entries.asked == []

    def test_the_keyring_is_asked_once_the_user_name_is_typed(self, case: Case) -> None:
        entries = Entries({(case.server.hostport, "ana"): GOOD})
        person = Person(["ana"])
        case.session(entries=entries, person=person).get(f"{case.server.url}/")
        assert len(person.questions) == 1

    def test_a_callers_own_header_is_left_as_it_is(self, case: Case) -> None:
        person = Person([*GOOD])
        with pytest.raises(HttpStatusError):
            case.session(person=person).get(
                f"{case.server.url}/", headers={"authorization": "Bearer x"}
            )
        assert person.questions == []


class TestKeeping:
    @pytest.mark.parametrize(("answer", "kept"), [("y", True), ("", False), ("n", False)])
    def test_is_offered(self, case: Case, answer: str, kept: bool) -> None:
        entries = Entries({})
        person = Person([*GOOD, answer])
        case.session(entries=entries, person=person).get(f"{case.server.url}/")
        assert entries.kept == ([(case.server.hostport, *GOOD)] if kept else [])

    def test_not_what_was_refused(self, case: Case) -> None:
        entries = Entries({})
        person = Person(["ana", "wrong", "y", *GOOD, "n"])
        case.session(entries=entries, person=person).get(f"{case.server.url}/")
        assert entries.kept == []

    def test_not_offered_without_a_keyring(self, case: Case) -> None:
        person = Person([*GOOD])
        case.session(person=person).get(f"{case.server.url}/")
        assert len(person.questions) == 2


class TestRedirects:
    def test_credentials_in_a_redirect_are_for_where_it_leads(
        self, case: Case, opened: Opener, leaf: Certificate
    ) -> None:
        """They are the redirecting server's to give: it knows them already."""
        target = with_credentials(f"{case.server.url}/simple/1/", *GOOD)
        with Server(lambda _: redirect(target), certificate=leaf) as front:
            session = opened(index_urls=(with_credentials(front.url, "own", "one"),))
            assert session.get(f"{front.url}/").body == b"page"
            assert front.requests[0].credentials == ("own", "one")
        assert case.sent == [GOOD]

    def test_a_prompt_names_where_it_leads(self, case: Case, leaf: Certificate) -> None:
        person = Person([*GOOD])
        with Server(lambda _: redirect(f"{case.server.url}/"), certificate=leaf) as front:
            case.session(person=person).get(f"{front.url}/")
            assert front.requests[0].credentials is None
        assert case.server.hostport in person.questions[0]


class TestWords:
    """Who asked, what was sent, where it came from."""

    def refused(self, session: Session, url: str) -> str:
        with pytest.raises(HttpStatusError) as caught:
            session.get(url)
        return f"{caught.value.message} {caught.value.hint}"

    def test_none_sent(self, case: Case) -> None:
        said = self.refused(case.session(), f"{case.server.url}/")
        assert "401" in said
        assert "No credentials were sent" in said
        assert case.server.url in said

    def test_where_they_came_from(self, case: Case, tmp_path: Path) -> None:
        netrc = tmp_path / "my-netrc"
        netrc.write_text("machine localhost login bob password hunter2")
        said = self.refused(
            case.session(environ={"NETRC": str(netrc)}), f"{case.server.url}/simple/1/"
        )
        assert "'bob'" in said
        assert str(netrc) in said
        assert "hunter2" not in said

    def test_a_lone_user_name_may_be_a_token_and_is_not_shown(self, case: Case) -> None:
        said = self.refused(case.session(), case.server.url.replace("//", "//ghp-token@"))
        assert "ghp-token" not in said
        assert "the URL itself" in said

    def test_what_stayed_behind_at_a_redirect(self, case: Case, leaf: Certificate) -> None:
        with Server(lambda _: redirect(f"{case.server.url}/"), certificate=leaf) as front:
            said = self.refused(case.session(), with_credentials(f"{front.url}/", "u", "hunter2"))
            assert front.url in said
        assert case.server.url in said
        assert "hunter2" not in said

    def test_another_scheme(self, opened: Opener, leaf: Certificate) -> None:
        def negotiate(_: Request) -> Response:
            return Response(401, b"", {"WWW-Authenticate": "Negotiate, NTLM"})

        with Server(negotiate, certificate=leaf) as server:
            said = self.refused(opened(), f"{server.url}/")
        assert "Negotiate, NTLM" in said

    def test_403(self, opened: Opener, leaf: Certificate) -> None:
        handler: Handler = lambda _: Response(403)  # noqa: E731
        with Server(handler, certificate=leaf) as server:
            with_some = self.refused(opened(), with_credentials(server.url, "ana", "hunter2"))
            without = self.refused(opened(), server.url)
        assert "'ana'" in with_some
        assert "hunter2" not in with_some
        assert "No credentials were sent" in without

    def test_what_a_server_says_cannot_change_the_screen(self, opened: Opener) -> None:
        assert realm_of('Basic realm="\x1b[2Jx\x07"') == "[2Jx"
        with RawServer(saying(b"HTTP/1.1 403 \x1b[2JNo\r\nContent-Length: 0\r\n\r\n")) as server:
            said = self.refused(opened(), f"http://127.0.0.1:{server.port}/")
        assert "403 [2JNo" in said


@pytest.mark.parametrize(
    ("header", "schemes", "realm"),
    [
        ("", (), ""),
        ("Basic", ("Basic",), ""),
        ('Basic realm="a, Digest b"', ("Basic",), "a, Digest b"),
        ('Bearer authorization_uri="https://x/y", Basic realm="z"', ("Bearer", "Basic"), "z"),
        ("Negotiate, NTLM", ("Negotiate", "NTLM"), ""),
        ("Basic realm=pypi", ("Basic",), "pypi"),
        ('basic REALM = "p"', ("basic",), "p"),
        ("Negotiate abc==, Basic realm=x", ("Negotiate", "Basic"), "x"),
    ],
)
def test_headers(header: str, schemes: tuple[str, ...], realm: str) -> None:
    assert schemes_of(header) == schemes
    assert realm_of(header) == realm


def test_credentials_show_nothing() -> None:
    secret = Credentials("token-name", "hunter2", "the URL")
    assert "hunter2" not in repr(secret) + str(secret) + secret.shown
    assert "token-name" not in repr(secret)
