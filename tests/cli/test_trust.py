"""``kedge trust``: what is in force, and why."""

from __future__ import annotations

import os
import shlex
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from kedge.cli.main import main
from kedge.trust.export import VARIABLES
from support.pki import Authority, authority
from support.processes import wait_until
from support.venvs import Kedge

Show = Callable[..., str]


@pytest.fixture
def show(clean_environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Show:
    """stdout of ``kedge trust …``, which must succeed."""

    def show(*words: str | Path, **environ: str) -> str:
        surroundings = {**clean_environ, "PIP_CONFIG_FILE": os.devnull, **environ}
        assert main(["trust", *map(str, words)], environ=surroundings) == 0
        return capsys.readouterr().out

    return show


def fingerprint(authority: Authority) -> str:
    digest = x509.load_pem_x509_certificate(authority.pem).fingerprint
    from cryptography.hazmat.primitives.hashes import SHA256

    return digest(SHA256()).hex(":").upper()


def test_bare_is_show(show: Show) -> None:
    assert show() == show("show")
    assert "certifi" in show()


def test_the_winner_and_the_overridden(show: Show, bundle: Path, stranger_bundle: Path) -> None:
    text = show("show", "--cert", bundle, REQUESTS_CA_BUNDLE=str(stranger_bundle))
    trusted, rest = text.split("Anchors", 1)
    assert str(bundle) in trusted
    assert "--cert" in trusted
    assert f"REQUESTS_CA_BUNDLE in the environment ({stranger_bundle})" in trusted
    assert "REQUESTS_CA_BUNDLE" in rest
    assert "not in force" in rest


def test_verbose_lists_fingerprints(show: Show, bundle: Path, private_ca: Authority) -> None:
    assert fingerprint(private_ca) in show("show", "-v", "--cert", bundle)
    assert fingerprint(private_ca) not in show("show", "--cert", bundle)


def test_the_variables_of_openssl_are_named_as_not_used(show: Show, bundle: Path) -> None:
    line = next(line for line in show(SSL_CERT_FILE=str(bundle)).splitlines() if "SSL_CERT" in line)
    assert "not used" in line
    text = show("--use-feature", "truststore", SSL_CERT_FILE=str(bundle))
    line = next(line for line in text.splitlines() if "SSL_CERT_FILE in" in line)
    assert "not used" not in line


@pytest.mark.parametrize(
    ("host", "words", "expected"),
    [
        pytest.param("index.example", [], "verified against", id="verified"),
        pytest.param(
            "index.example", ["--trusted-host", "index.example:443"], "NOT be verified", id="exempt"
        ),
        pytest.param(
            "index.example:8443",
            ["--trusted-host", "index.example:443"],
            "verified against",
            id="another-port",
        ),
        pytest.param("http://index.example", [], "plain HTTP", id="plain"),
    ],
)
def test_a_host(show: Show, host: str, words: list[str], expected: str) -> None:
    assert expected in show("show", host, *words)


def test_a_hosts_proxy(show: Show) -> None:
    text = show("show", "index.example", HTTPS_PROXY="http://ana:secret@proxy.example:3128")
    assert "proxy.example:3128" in text
    assert "secret" not in text


def test_export_is_a_bundle(show: Show, bundle: Path, private_ca: Authority) -> None:
    exported = show("export", "--cert", bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=exported)
    assert context.get_ca_certs(binary_form=True) == [
        ssl.PEM_cert_to_DER_cert(private_ca.pem.decode())
    ]


# A folder's certificates are read when they are needed, so no context lists them.
_TRUSTED = """\
import os, ssl
print([dict(x[0] for x in c["subject"]) for c in ssl.create_default_context().get_ca_certs()])
print(os.listdir(ssl.get_default_verify_paths().capath))
"""


def test_env_is_what_a_shell_evaluates(
    show: Show, bundle: Path, tmp_path: Path, clean_environ: dict[str, str]
) -> None:
    folder = tmp_path / "it's here"
    lines = show("env", folder, "--shell", "sh", "--cert", bundle)
    script = f"{lines}\n{shlex.quote(sys.executable)} -c {shlex.quote(_TRUSTED)}"
    done = subprocess.run(
        ["sh", "-c", script], env=clean_environ, capture_output=True, text=True, check=True
    )
    trusted, more = done.stdout.splitlines()
    assert trusted.count("commonName") == 1
    assert "Kedge Test Private Root" in trusted
    assert more == "[]"


def test_env_goes_to_the_users_own_folder_and_can_be_run_again(
    show: Show, bundle: Path, stranger_bundle: Path, home: Path
) -> None:
    first = show("env", "--cert", bundle)
    pem = home / ".local/share/kedge/trust/anchors.pem"
    assert str(pem) in first
    assert pem.parent.stat().st_mode & 0o077 == 0
    before = pem.read_text()
    assert show("env", "--cert", stranger_bundle) == first
    assert pem.read_text() != before
    assert sorted(path.name for path in pem.parent.iterdir()) == ["anchors.pem", "no-certificates"]


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("fish", "set -gx REQUESTS_CA_BUNDLE {pem}"),
        ("powershell", "$env:REQUESTS_CA_BUNDLE = '{pem}'"),
        ("cmd", 'set "REQUESTS_CA_BUNDLE={pem}"'),
    ],
)
def test_env_for_other_shells(
    show: Show, bundle: Path, tmp_path: Path, shell: str, line: str
) -> None:
    lines = show("env", tmp_path, "--shell", shell, "--cert", bundle).splitlines()
    assert line.format(pem=tmp_path / "anchors.pem") in lines
    assert len(lines) == len(VARIABLES)


def test_exec_runs_one_program_under_the_decision(
    clean_environ: dict[str, str], bundle: Path, tmp_path: Path
) -> None:
    kedge = Kedge({**clean_environ, "TMPDIR": str(tmp_path), "SSL_CERT_FILE": "/etc/passwd"})
    words = ("exec", "--cert", bundle, "--", sys.executable, "-c", _TRUSTED)
    done = kedge("trust", *words).succeeded()
    trusted, more = done.stdout.splitlines()
    assert trusted.count("commonName") == 1
    assert "Kedge Test Private Root" in trusted
    assert more == "[]"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 128 + signal.SIGTERM),
    ],
    ids=["exit code", "signal"],
)
def test_exec_ends_as_the_program_does(
    clean_environ: dict[str, str], bundle: Path, code: str, expected: int
) -> None:
    words = ("exec", "--cert", bundle, "--", sys.executable, "-c", code, "--version")
    assert Kedge(clean_environ)("trust", *words).code == expected


def test_exec_passes_signals_on(
    clean_environ: dict[str, str], bundle: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        f"open({str(mark)!r}, 'w').close()\ntime.sleep(60)\n"
    )
    words = ("exec", "--cert", bundle, "--", sys.executable, "-c", code)
    with Kedge(clean_environ).start("trust", *words) as process:
        wait_until(mark.exists)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 5


#: Told to end when the program is about to be started: there is nobody yet to pass it on to.
TOLD_EARLY = """
import os, signal, sys

signal.signal({number}, signal.SIG_DFL if {number} != signal.SIGINT else signal.default_int_handler)

def tell(event, arguments):
    if event == "subprocess.Popen":
        os.kill(os.getpid(), {number})

sys.addaudithook(tell)
from kedge.cli.main import program
sys.exit(program())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_exec_passes_on_what_came_before_the_program(
    number: signal.Signals, clean_environ: dict[str, str], bundle: Path
) -> None:
    """The program is not left alone, and kedge waits for it."""
    code = TOLD_EARLY.format(number=int(number))
    words = ["trust", "exec", "--cert", str(bundle), "--", "sleep", "600"]
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, env=clean_environ, capture_output=True, text=True)
    assert done.returncode == 128 + number, done.stderr


#: As ``nohup`` and a shell's background have it.
IGNORING = """
import signal, sys
signal.signal({number}, signal.SIG_IGN)
from kedge.cli.main import program
sys.exit(program())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_exec_has_the_program_ignore_what_is_ignored(
    number: signal.Signals, clean_environ: dict[str, str], bundle: Path
) -> None:
    told = f"import signal; print(int(signal.getsignal({int(number)}) is signal.SIG_IGN))"
    words = ["trust", "exec", "--cert", str(bundle), "--", sys.executable, "-c", told]
    command = [sys.executable, "-c", IGNORING.format(number=int(number)), *words]
    done = subprocess.run(command, env=clean_environ, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


def test_exec_of_nothing_that_exists(clean_environ: dict[str, str], bundle: Path) -> None:
    outcome = Kedge(clean_environ)("trust", "exec", "--cert", bundle, "--", "no-such-program")
    outcome.failed(1, saying=["no-such-program"])


def test_a_name_in_a_bundle_cannot_write_over_a_fingerprint(show: Show, tmp_path: Path) -> None:
    """Fingerprints are compared here, and who made the certificate chose its name."""
    # As long as a name has room for: the certificate's own may well begin with fewer of them.
    claim = "SHA-256 00:11:22:33:44:55:66:77"
    forged = authority(f"Good Root\x1b[1A\x1b[2K\r\n    {claim}")
    text = show("show", "-v", "--cert", forged.write_pem(tmp_path / "forged.pem"))
    assert claim in text
    assert all(line.isprintable() for line in text.splitlines())
    assert not any(line.strip().startswith(claim) for line in text.splitlines())
    assert fingerprint(forged) in text
