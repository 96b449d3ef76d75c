"""A resolution, from an earlier run where that one still holds, else from the engine.

Joins what knows when an answer holds (:mod:`kedge.resolve.answers`), what can tell whether pages
and metadata are the same (:meth:`kedge.index.Index.state`), and the cache that keeps answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedge.errors import KedgeError
from kedge.resolve.answers import Heard, Kept, dump, installed_state, load, question, tell_again
from kedge.settings import options as table

if TYPE_CHECKING:
    from collections.abc import Callable

    from kedge.cache import AnswerStore, Cache
    from kedge.index import Index
    from kedge.pipeline.connection import Connection
    from kedge.resolve import Foresight, Problem, Resolution, ResolveReporter, Source
    from kedge.resolve.answers import Grounds
    from kedge.settings.values import Settings


class Recall:
    """Resolves, and remembers. ``store`` is None where nothing is to be remembered.

    ``when_asking`` has a function called once the network is asked for something: the search looks
    ahead from then on.
    """

    def __init__(
        self,
        index: Index,
        store: AnswerStore | None,
        *,
        when_asking: Callable[[Callable[[], None]], None],
    ) -> None:
        self._index = index
        self._when_asking = when_asking
        self._store = store

    def resolve(
        self,
        problem: Problem,
        source: Source,
        reporter: ResolveReporter,
        *,
        foresight: Foresight | None = None,
    ) -> Resolution:
        """See :func:`kedge.resolve.resolve`: the same answer, perhaps without its search."""
        places = self._index.places() if self._store is not None else None
        key = None if places is None else question(problem, places)
        if self._store is None or key is None:
            return self._search(problem, source, reporter, foresight)[0]
        kept = self._recalled(self._store, key, problem)
        if kept is not None:
            reporter.recalled(len(kept.grounds.pages))
            tell_again(kept.told, reporter)
            return kept.resolution
        heard = Heard(reporter)
        resolution, grounds = self._search(problem, source, heard, foresight)
        if grounds is not None:
            state = self._index.state(grounds.pages, grounds.wheels)
            installed = installed_state(problem, grounds.names)
            if state is not None and installed is not None:
                kept = Kept(resolution, grounds, state, installed, tuple(heard.told))
                self._store.put(key, dump(kept))
        return resolution

    def _search(
        self,
        problem: Problem,
        source: Source,
        reporter: ResolveReporter,
        foresight: Foresight | None,
    ) -> tuple[Resolution, Grounds | None]:
        from kedge.resolve import search  # not where the answer is known

        return search(
            problem,
            source,
            reporter,
            foresight=foresight,
            when_asking=self._when_asking,
        )

    def _recalled(self, store: AnswerStore, key: str, problem: Problem) -> Kept | None:
        """What was kept, if everything that it rests on is as it was."""
        data = store.get(key)
        if data is None:
            return None
        try:
            kept = load(data, problem)
            if kept.installed != installed_state(problem, kept.grounds.names):
                return None
            if kept.state != self._index.state(kept.grounds.pages, kept.grounds.wheels):
                return None
        except (KedgeError, ValueError):  # the engine may not even need what failed
            return None
        return kept


def recall(settings: Settings, index: Index, connection: Connection, cache: Cache) -> Recall:
    """Where answers are kept, if they are: a time that is relative to now asks anew each time."""
    prior_to = settings.value(table.UPLOADED_PRIOR_TO)
    if prior_to is not None:
        from datetime import timedelta

        if isinstance(prior_to, timedelta):
            return Recall(index, None, when_asking=connection.when_used)
    answers = None if cache.is_temporary else cache.answers
    return Recall(index, answers, when_asking=connection.when_used)
