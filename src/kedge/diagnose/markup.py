"""HTML that cannot be broken out of: what is text is escaped, by construction.

Whoever presents a certificate chose the words in it. So nothing is ever pasted into markup: an
element is made of its children, and only what this module made goes in as it is.
"""

from __future__ import annotations

from html import escape

#: Elements that have no end tag.
_VOID = frozenset({"meta", "wbr"})


class Html(str):
    """Markup, made here."""

    __slots__ = ()


#: What an element may hold: text, markup, or ``None`` for nothing at all.
Child = str | None


def element(name: str, /, *children: Child, **attributes: str | None) -> Html:
    """One element; a trailing ``_`` of an attribute's name goes (``class_``), and ``_`` is ``-``.

    >>> element("p", "a <b>", class_="x")
    '<p class="x">a &lt;b&gt;</p>'
    >>> element("p", element("b", "&"), id="1\\"")
    '<p id="1&quot;"><b>&amp;</b></p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Html:
    """Children one after the other."""
    return Html(
        "".join(
            child if isinstance(child, Html) else escape(child, quote=False)
            for child in children
            if child is not None
        )
    )
