"""What is kept between runs: unpacked wheels, pages, metadata, answers, what was built from what.

``open_cache(directory)`` gives a :class:`Cache`; ``open_cache(None)`` one that lives in a
temporary folder and goes with it, for the same code to run without a cache. Nothing here
downloads, unpacks or installs: who asks for an entry knows how to make it.

A cache is a convenience, never a dependency: a page or a piece of metadata that cannot be stored
is simply not stored. Only a wheel that cannot be unpacked into it is an error, for it cannot be
installed from anywhere else.
"""

from kedge.cache.answers import AnswerStore
from kedge.cache.built import BuiltStore, built_key
from kedge.cache.directory import Cache, open_cache
from kedge.cache.hints import HintStore
from kedge.cache.inventory import CacheInfo, Removed
from kedge.cache.manifest import Linked, Manifest, ManifestEntry, Row
from kedge.cache.metadata import MetadataStore
from kedge.cache.pages import CachedPage, PageHead, PageStore
from kedge.cache.wheels import Bytecode, CachedWheel, UnpackedWheel, WheelStore

__all__ = [
    "AnswerStore",
    "BuiltStore",
    "Bytecode",
    "Cache",
    "CacheInfo",
    "CachedPage",
    "CachedWheel",
    "HintStore",
    "Linked",
    "Manifest",
    "ManifestEntry",
    "MetadataStore",
    "PageHead",
    "PageStore",
    "Removed",
    "Row",
    "UnpackedWheel",
    "WheelStore",
    "built_key",
    "open_cache",
]
