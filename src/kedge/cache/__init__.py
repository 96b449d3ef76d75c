"""What is kept between runs: unpacked wheels, pages, metadata, answers, what was built from what.

``open_cache(directory)`` gives a :class:`Cache`; ``open_cache(None)`` one that lives in a
temporary folder and goes with it, for the same code to run without a cache. Nothing here
downloads, unpacks or installs: who asks for an entry knows how to make it.

A cache is a convenience, never a dependency: a page or a piece of metadata that cannot be stored
is simply not stored. Only a wheel that cannot be unpacked into it is an error, for it cannot be
installed from anywhere else.

Each name is imported with the first look at it: a process that unpacks needs the wheels alone.
"""

from typing import TYPE_CHECKING

from kedge.lazy import lazily

if TYPE_CHECKING:
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

if not TYPE_CHECKING:  # which knows the names, and which are none
    __getattr__ = lazily(
        __name__,
        {
            "AnswerStore": "answers",
            "BuiltStore": "built",
            "Bytecode": "wheels",
            "Cache": "directory",
            "CacheInfo": "inventory",
            "CachedPage": "pages",
            "CachedWheel": "wheels",
            "HintStore": "hints",
            "Linked": "manifest",
            "Manifest": "manifest",
            "ManifestEntry": "manifest",
            "MetadataStore": "metadata",
            "PageHead": "pages",
            "PageStore": "pages",
            "Removed": "inventory",
            "Row": "manifest",
            "UnpackedWheel": "wheels",
            "WheelStore": "wheels",
            "built_key": "built",
            "open_cache": "directory",
        },
    )
