"""``kedge download``: the words round :func:`kedge.pipeline.download.download`.

stdout gets the path of each file, one a line; everything else is narration, and goes to stderr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedge.cli.install import refuse_nowhere
from kedge.cli.narrator import Narrator
from kedge.pipeline.download import download
from kedge.settings import options as table

if TYPE_CHECKING:
    from kedge.cli.run import Job


def run(job: Job) -> int:
    """Download; 0 when every file is there."""
    refuse_nowhere()
    narrator = Narrator(job.console, progress=job.settings.value(table.PROGRESS_BAR))
    try:
        done = download(job.settings, job.interpreter, narrator)
    finally:
        narrator.close()
    for one in done.saved:
        if one.present:
            job.console.say(f"Already there: {one.path}")
        job.console.result(str(one.path))
    fetched = sum(not one.present for one in done.saved)
    noun = "file" if fetched == 1 else "files"
    job.console.say(f"Downloaded {fetched} {noun} into {job.settings.value(table.DEST)}")
    return 0
