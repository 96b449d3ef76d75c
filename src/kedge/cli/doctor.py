"""``kedge doctor``: whether an install would get through, what stands in the way, and what to do.

The report is what was asked for, so it goes to stdout, as text or as JSON. The exit code is 0
where an install would work, and 1 where it would not.
"""

from __future__ import annotations

import json
import platform
import ssl
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from kedge import trust
from kedge.cli.console import Console, columns_of, wants_color
from kedge.cli.wrapping import shown
from kedge.diagnose import checkup, overview
from kedge.diagnose.commands import User
from kedge.diagnose.comparison import named_bundles
from kedge.diagnose.examine import Surroundings
from kedge.diagnose.shells import decide_shell
from kedge.errors import UsageError
from kedge.model import (
    NetworkOrigin,
    Origin,
    OriginKind,
    Sourced,
    StoreKind,
    TrustDecision,
    TrustSource,
)
from kedge.settings import options as table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kedge.cli.run import Job
    from kedge.diagnose import Line


def run(job: Job) -> int:
    """Examine, and tell; 0 where an install would work (or no bundle is broken), else 1."""
    if job.settings.value(table.LINT):
        if job.settings.is_set(table.HTML):
            raise UsageError("--html does not go together with --lint.")
        return _lint(job)
    from kedge.pipeline.doctor import check

    surroundings = surroundings_of(job)
    about = facts(surroundings.clock())
    user = user_of(job)
    found = check(job.settings, surroundings, user, about=about)
    for warning in found.warnings:
        job.console.warn(warning)
    if job.settings.value(table.JSON):
        job.console.result(json.dumps(checkup.as_json(found), indent=2, ensure_ascii=False))
    else:
        _print(overview.layout(found, user, verbose=job.console.verbosity > 0), job)
    target = job.settings.value(table.HTML)
    if target is not None:
        _write(target, found, home=job.settings.snapshot.platform.home)
        job.console.say(f"Wrote {target}")
    return 0 if found.works else 1


def _write(target: str, found: checkup.Checkup, *, home: str) -> None:
    """The page; ``home`` is written ``~`` in it."""
    from kedge.diagnose.page import render

    text = render(found, home=home)
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageError(
            f"The report {target} cannot be written: {exc.strerror}.",
            hint="Choose another path with --html.",
        ) from exc


def _lint(job: Job) -> int:
    """Read bundles: those that are named, or every one that a setting names."""
    from kedge.diagnose import linted
    from kedge.diagnose.lint import Rules, lint

    decision = trust.decide(job.settings.trust_settings())
    strict = decision.strict.value
    rules = Rules(environ=job.environ, now=datetime.now(timezone.utc), strict=strict)
    found = [
        lint(source, rules, in_force=in_force)
        for source, in_force in _sources(decision, job.settings.arguments)
    ]
    if job.settings.value(table.JSON):
        text = json.dumps(linted.as_json(found, strict=strict), indent=2, ensure_ascii=False)
        job.console.result(text)
    else:
        _print(linted.layout(found, verbose=job.console.verbosity > 0), job)
    return 1 if any(each.broken for each in found) else 0


def _sources(decision: TrustDecision, words: Sequence[str]) -> Iterator[tuple[TrustSource, bool]]:
    """What to read, and whether it is in force."""
    if words:
        origin = Origin(OriginKind.COMMAND_LINE, "--lint")
        for word in words:
            yield TrustSource(StoreKind.BUNDLE, origin, word), True
        return
    for source in decision.sources:
        yield source, True
    paths = {source.path for source in decision.sources}
    for source in named_bundles(decision):
        if source.path not in paths:
            yield source, False


def _print(lines: Iterable[Line], job: Job) -> None:
    """On stdout: wrapped and painted where that is a terminal."""
    no_color = job.settings.value(table.NO_COLOR)
    terminal = Console(
        color=wants_color(sys.stdout, job.environ, no_color=no_color),
        width=columns_of(sys.stdout, job.environ),
    )
    for line in lines:
        for row in shown(line, terminal):
            job.console.result(row)


def surroundings_of(job: Job) -> Surroundings:
    """What an install would work with."""
    settings = job.settings
    proxy, client = settings[table.PROXY], settings[table.CLIENT_CERT]
    if settings.value(table.NO_PROXY_ENV) and proxy.value is None:
        proxy = Sourced("", settings[table.NO_PROXY_ENV].origin)
    return Surroundings(
        decision=trust.decide(settings.trust_settings()),
        environ=job.environ,
        proxy=None if proxy.value is None else Sourced(proxy.value, proxy.origin),
        client_cert=None
        if client.value is None
        else trust.ClientCertificate.of(Sourced(client.value, client.origin), job.environ),
        client_origins=frozenset(
            filter(None, (_origin(url.value) for url in settings.index_urls()))
        ),
    )


def _origin(url: str) -> NetworkOrigin | None:
    try:
        return NetworkOrigin.of(url)
    except ValueError:
        return None  # a folder


def user_of(job: Job) -> User:
    """Who will read the remedies."""
    return User(
        words=job.argv,
        program=(sys.executable, "-m", "kedge") if job.launched_as_module else ("kedge",),
        shell=decide_shell(job.environ, sys.platform),
        platform=sys.platform,
        config_levels={
            file.path: f"--{file.kind.value}"
            for file in job.settings.snapshot.files
            if file.kind.value in {"global", "user", "site"}
        },
    )


def facts(now: datetime) -> dict[str, str]:
    """What a reader elsewhere has to know about this machine; nothing that names its user."""
    from kedge import __version__

    return {
        "kedge": __version__,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "platform": f"{sys.platform} {platform.machine()}",
        "time": now.replace(microsecond=0).isoformat(),
    }
