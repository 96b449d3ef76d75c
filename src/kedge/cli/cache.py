"""``kedge cache``: where the cache is, what it holds, and taking things out of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kedge.cli.progress import human_size
from kedge.errors import CacheError, UsageError
from kedge.settings import options as table

if TYPE_CHECKING:
    from kedge.cache import Cache
    from kedge.cli.run import Job


def run(job: Job) -> int:
    """One action on the cache; 0, or 1 when a pattern matches nothing."""
    directory = job.settings.cache_directory()
    if directory is None:
        raise UsageError(
            "The cache is switched off.", hint="Leave out --no-cache-dir (PIP_NO_CACHE_DIR)."
        )
    if job.settings.action == "dir":
        job.console.result(directory.value)
        return 0
    from kedge.cache import open_cache

    with open_cache(Path(directory.value)) as cache:
        if cache.warning:
            raise CacheError(cache.warning)
        return _act(job, cache)


def _act(job: Job, cache: Cache) -> int:
    console = job.console
    for option in (table.OLDER_THAN, table.KEEP):
        if job.settings.action != "purge" and job.settings.is_set(option):
            raise UsageError(f"{option.flag} belongs to 'kedge cache purge'.")
    match job.settings.action:
        case "info":
            info = cache.info()
            console.result(f"Location: {info.directory}")
            console.result(f"Wheels: {info.wheels} ({human_size(info.wheel_bytes)})")
            console.result(f"Index pages: {info.pages} ({human_size(info.page_bytes)})")
            console.result(f"Metadata: {info.metadata} ({human_size(info.metadata_bytes)})")
            console.result(f"Resolutions: {info.answers} ({human_size(info.answer_bytes)})")
        case "list":
            _list(job, cache)
        case "remove":
            removed = cache.remove(job.settings.arguments[0])
            if not removed.count:
                console.error(f"No wheel in the cache matches {job.settings.arguments[0]}.")
                return 1
            wheels = "wheel" if removed.count == 1 else "wheels"
            console.say(f"Removed {removed.count} {wheels} ({human_size(removed.bytes)}).")
        case "purge":
            settings = job.settings
            removed = cache.purge(
                older_than=settings.value(table.OLDER_THAN), keep=settings.value(table.KEEP)
            )
            console.say(f"Removed {removed.count} entries ({human_size(removed.bytes)}).")
    return 0


def _list(job: Job, cache: Cache) -> None:
    pattern = job.settings.arguments[0] if job.settings.arguments else None
    for wheel in cache.list(pattern):
        if job.settings.value(table.CACHE_FORMAT) == "abspath":
            found = cache.wheels.get(wheel.sha256)
            if found is not None:
                job.console.result(str(found.tree))
        else:
            job.console.result(f"{wheel.filename} ({human_size(wheel.size)})")
