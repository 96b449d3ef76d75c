"""``kedge trust``: what is trusted here and why, and the anchors in force for other programs.

Connects to nothing, but for ``fetch-issuer``, which has a module of its own. ``show`` prints for
people (stdout, since it is what was asked for); ``export`` prints PEM, ``env`` lines for a shell,
and ``exec`` leaves its streams to the program.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from kedge import trust
from kedge.cli.main import ending_signals
from kedge.errors import KedgeError
from kedge.model import Sourced, TrustDecision
from kedge.settings import options as table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import Popen

    from kedge.cli.run import Job


def run(job: Job) -> int:
    """One action; 0, since a source that cannot be used is an error, or the program's own code."""
    if job.settings.action == "fetch-issuer":
        from kedge.cli import issuers

        return issuers.run(job)
    decision = trust.decide(job.settings.trust_settings())
    anchors = trust.load(decision, environ=job.environ)
    for warning in anchors.warnings:
        job.console.warn(warning)
    match job.settings.action:
        case "export":
            job.console.result(trust.export_pem(anchors).rstrip("\n"))
            return 0
        case "env":
            return _env(job, anchors)
        case "exec":
            return _exec(job, anchors)
    verbose = job.console.verbosity > 0
    for line in (
        *_decision(decision),
        "",
        *_anchors(anchors, verbose=verbose),
        *_settings(job),
        *_host(job),
    ):
        job.console.result(line)
    return 0


# --------------------------------------------------------------------------------------------
# For other programs


def _env(job: Job, anchors: trust.Anchors) -> int:
    """The lines for ``eval``; the file that they name is written first."""
    from kedge.diagnose.shells import Shell, assign, decide_shell
    from kedge.settings.files import exports_folder
    from kedge.trust.export import write_for_others

    snapshot = job.settings.snapshot
    words = job.settings.arguments
    place = words[0] if words else exports_folder(snapshot.platform, job.environ)
    folder = Path(place).absolute()
    chosen = job.settings.value(table.SHELL)
    shell = decide_shell(job.environ, snapshot.platform.system)
    if chosen != "auto":
        shell = Shell(chosen)
    try:
        values = write_for_others(anchors, folder)
    except OSError as exc:
        raise KedgeError(
            f"{folder} cannot be written: {exc.strerror}.", hint="Name another folder."
        ) from exc
    for name, value in values.items():
        job.console.result(assign(name, value, shell))
    job.console.say(
        f"The anchors are in {folder / 'anchors.pem'}, as they are now: run this again "
        "when they change."
    )
    return 0


def _exec(job: Job, anchors: trust.Anchors) -> int:
    """Run the program to its end; its exit code (128 and the signal's number, if one ended it)."""
    import shutil
    import subprocess
    import tempfile

    from kedge.trust.export import write_for_others

    program, *words = job.settings.arguments
    found = shutil.which(program, path=job.environ.get("PATH"))
    if found is None:
        raise KedgeError(f"There is no program {program}.", hint="Is it on PATH?")
    with tempfile.TemporaryDirectory(prefix="kedge-trust-") as folder:
        environ = {**job.environ, **write_for_others(anchors, Path(folder))}
        # Before it is started: whoever is told to end meanwhile would leave it alone, without its
        # anchors.
        with _passed_on() as take_charge:
            try:
                child = subprocess.Popen([found, *words], env=environ)
            except OSError as exc:
                raise KedgeError(f"{found} cannot be started: {exc.strerror}.") from exc
            take_charge(child)
            code = child.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _passed_on() -> Iterator[Callable[[Popen[bytes]], None]]:
    """Signals are the program's to answer: the terminal sends it Ctrl-C, and we send the rest.

    What arrives before there is a program is kept, and sent once it is handed over.
    """
    children: list[Popen[bytes]] = []
    early: list[int] = []

    def pass_on(number: int, _: object) -> None:
        if not children:
            early.append(number)
        elif number != signal.SIGINT:
            children[0].send_signal(number)

    def take_charge(child: Popen[bytes]) -> None:
        children.append(child)
        for number in early:
            child.send_signal(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in ending_signals():
            # One that is ignored (nohup) the program has to ignore, too.
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, pass_on)
    try:
        yield take_charge
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --------------------------------------------------------------------------------------------
# For people


def _decision(decision: TrustDecision) -> Iterator[str]:
    yield "Trusted, and nothing else:"
    for source in decision.sources:
        added = ", added" if source.extra else ""
        yield f"  {source}{added}"
    for lost in decision.overridden:
        yield f"Overridden: {lost.setting.origin} ({lost.setting.value}), by {lost.by}"
    if decision.strict.value:
        yield f"Strict: certificates must follow RFC 5280 to the letter ({decision.strict.origin})"


def _anchors(anchors: trust.Anchors, *, verbose: bool) -> Iterator[str]:
    now = datetime.now(timezone.utc)
    for described in trust.describe(anchors):
        expired = sum(
            1
            for each in described.certificates
            if each.vouches and each.not_after is not None and each.not_after < now
        )
        yield f"Anchors of {described.source}: {described.count}"
        if expired:
            yield f"  expired: {expired}"
        ends = [each.not_after for each in described.certificates if each.vouches]
        coming = min((end for end in ends if end is not None and end >= now), default=None)
        if coming is not None:
            yield f"  the next of them expires on {coming:%Y-%m-%d}"
        if described.by_platform:
            yield "  the platform verifies, and may know more than it lists"
        for path in described.files:
            yield f"  read from {path}"
        if described.altered:
            yield f"  {described.altered}"
        if verbose:
            for each in described.certificates:
                yield from _certificate(each, now)


def _certificate(each: trust.DescribedCertificate, now: datetime) -> Iterator[str]:
    yield f"  {each.subject or 'a certificate that cannot be described'}"
    pairs = ":".join(each.sha256[at : at + 2] for at in range(0, 64, 2)).upper()
    yield f"    SHA-256 {pairs}"
    if each.not_after is not None:
        state = "" if each.is_valid(now) else ", not valid now"
        yield f"    valid until {each.not_after:%Y-%m-%d}{state}"
    if not each.is_ca:
        yield "    not a CA: vouches for itself alone"
    if not each.vouches:
        yield "    its own trust settings withhold trust from servers"


def _settings(job: Job) -> Iterator[str]:
    """Every setting that had a say or wanted one, strongest first."""
    yield ""
    yield "Settings considered:"
    found = False
    options = (
        table.USE_FEATURE,
        table.USE_DEPRECATED,
        table.CERT,
        table.EXTRA_CERT,
        table.STRICT_CERTS,
        table.TRUSTED_HOST,
        table.CLIENT_CERT,
        table.CLIENT_KEY,
    )
    for option in options:
        for one in job.settings.considered(option):
            found = True
            state = "" if one.in_force else " (not in force)"
            yield f"  {one.setting.origin}: {one.setting.value or 'empty'}{state}"
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        value = job.environ.get(name)
        if value:
            yield f"  {name} in the environment: {value}{_role(job, name)}"
            found = True
    if not found:
        yield "  none"


def _role(job: Job, variable: str) -> str:
    if variable.startswith("SSL_"):
        asked = job.settings.truststore
        used = asked is not None and asked.value
        return "" if used else " (counts for the system's store only, which is not used)"
    decision = trust.decide(job.settings.trust_settings())
    used = any(source.origin.name == variable for source in decision.sources)
    return "" if used else " (not in force)"


def _host(job: Job) -> Iterator[str]:
    """For ``show HOST``: whether it is verified, and the proxy on the way."""
    if not job.settings.arguments:
        return
    from kedge.transport.locations import locate
    from kedge.transport.proxies import ProxyTable, read_system_proxies
    from kedge.transport.trusted_hosts import TrustedHosts

    word = job.settings.arguments[0]
    location = locate(word if "://" in word else f"https://{word}")
    yield ""
    exempt = TrustedHosts.parse(job.settings.each(table.TRUSTED_HOST)).find(location.origin)
    if exempt is not None:
        yield f"{location.origin}: would NOT be verified, because of {exempt.origin}"
    elif location.origin.scheme == "http":
        yield f"{location.origin}: plain HTTP, so there is nothing to verify"
    else:
        yield f"{location.origin}: would be verified against the anchors above"
    flag = job.settings[table.PROXY]
    proxy = ProxyTable.decide(
        None if flag.value is None else Sourced(flag.value, flag.origin),
        job.environ,
        read_system_proxies(),
    ).choose(location.origin)
    yield f"  proxy: {proxy or 'none'}"
    yield "  (nothing was contacted)"
