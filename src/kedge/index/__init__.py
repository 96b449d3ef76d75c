"""What exists: indexes and ``--find-links``, the files they offer, and the metadata of those.

:class:`Index` is the whole of it; :class:`IndexFile` is what comes out. Everything that reads a
page or a file name is pure, and the network is reached through the small protocols in
:mod:`kedge.index.fetch` only.
"""

from kedge.index.fetch import Answer, Downloaded, Fetcher, PageCache, Ranged
from kedge.index.files import IndexFile, direct_file
from kedge.index.links import Link
from kedge.index.lookup import Direct, Index, IndexReporter
from kedge.index.metadata import MetadataCache, disagreements
from kedge.index.releases import Releases
from kedge.index.sources import IndexSources, Place, PlaceKind, find_places

__all__ = [
    "Answer",
    "Direct",
    "Downloaded",
    "Fetcher",
    "Index",
    "IndexFile",
    "IndexReporter",
    "IndexSources",
    "Link",
    "MetadataCache",
    "PageCache",
    "Place",
    "PlaceKind",
    "Ranged",
    "Releases",
    "direct_file",
    "disagreements",
    "find_places",
]
