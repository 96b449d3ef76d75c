"""When zlib-ng is worth loading."""

from __future__ import annotations

import pytest

from kedge import inflate


@pytest.mark.skipif(inflate.fast() is None, reason="zlib-ng has no wheel here")
def test_many_small_amounts_are_worth_it_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "_best", None)
    monkeypatch.setattr(inflate, "_amount", 0)
    chosen = [inflate.inflater(300 << 10) is inflate.PLAIN for _ in range(5)]
    assert chosen == [True, True, True, False, False]
