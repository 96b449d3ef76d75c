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
from kedge.cli.diagnosis import surroundings_of, user_of
from kedge.cli.install import refuse_unwritable
from kedge.cli.wrapping import shown
from kedge.diagnose import checkup, overview
from kedge.diagnose.comparison import named_bundles
from kedge.errors import UsageError
from kedge.model import (
    Configured,
    NetworkOrigin,
    Origin,
    OriginKind,
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
    if page := job.settings.value(table.HTML):
        refuse_unwritable(Path(page))
    if job.settings.value(table.LINT):
        return _lint(job)
    from kedge.pipeline.doctor import check

    surroundings = surroundings_of(job, _configured(job))
    about = facts(surroundings.clock())
    user = user_of(job)
    found = check(job.settings, surroundings, user, about=about)
    for warning in found.warnings:
        job.console.warn(warning)
    if job.settings.value(table.JSON):
        job.console.result(json.dumps(checkup.as_json(found), indent=2))
    else:
        _print(overview.layout(found, user, verbose=job.console.verbosity > 0), job)
    if job.settings.is_set(table.HTML):
        from kedge.diagnose.page import render

        _write(render(found, home=_home(job)), job)
    return 0 if found.works else 1


def _home(job: Job) -> str:
    """What is written ``~`` on a page."""
    return job.settings.snapshot.platform.home


def _write(page: str, job: Job) -> None:
    """The page, where --html names a file."""
    target = job.settings.value(table.HTML) or ""
    try:
        Path(target).write_text(page, encoding="utf-8")
    except OSError as exc:
        raise UsageError(
            f"The report {target} cannot be written: {exc.strerror}.",
            hint="Choose another path with --html.",
        ) from exc
    job.console.say(f"Wrote {target}")


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
        text = json.dumps(linted.as_json(found, strict=strict), indent=2)
        job.console.result(text)
    else:
        _print(linted.layout(found, verbose=job.console.verbosity > 0), job)
    if job.settings.is_set(table.HTML):
        from kedge.diagnose.lint_page import render

        _write(render(found, facts(rules.now), home=_home(job)), job)
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


def _configured(job: Job) -> Configured:
    """Whom an install would ask."""
    settings = job.settings
    urls = (*settings.index_urls(), *settings.each(table.FIND_LINKS))
    return Configured(indexes=frozenset(filter(None, (_origin(url.value) for url in urls))))


def _origin(url: str) -> NetworkOrigin | None:
    try:
        return NetworkOrigin.of(url)
    except ValueError:
        return None  # a folder


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
