"""The classes of fields keep what ``dataclasses`` promises of a frozen, slotted class."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from functools import cached_property
from typing import Any, Generic, TypeVar

import pytest

from kedge.classes import field, frozen, mutable, replace

T = TypeVar("T")


@frozen
class Point(Generic[T]):
    x: T
    y: int = 0
    tags: list[str] = field(default_factory=list, hash=False)
    note: str = field(default="", repr=False, compare=False)


@frozen(kw_only=True, slots=False)
class Wide:
    a: int

    @cached_property
    def double(self) -> int:
        return 2 * self.a


@frozen
class Checked:
    a: int

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError("negative")


@mutable
class Counter:
    count: int = 0
    seen: set[int] = field(default_factory=set)


def test_values_compare_and_hash_by_their_fields() -> None:
    assert Point(1, 2) == Point(1, 2, note="other")
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2, ["a"]) != Point(1, 2)
    assert hash(Point(1, 2)) == hash(Point(1, 2, ["unhashable"]))
    assert Point(1).__eq__(Wide(a=1)) is NotImplemented


def test_the_signature_is_known_before_and_after_the_first_instance() -> None:
    @frozen(kw_only=True)
    class Fresh:
        a: int
        b: int = 1

    before = inspect.signature(Fresh)
    assert Fresh(a=1) == Fresh(a=1, b=1)
    assert str(before) == str(inspect.signature(Fresh)) == "(*, a, b=1)"
    with pytest.raises(TypeError):
        Fresh(1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((1,), {}), ((1, 2), {}), ((), {"x": 1}), ((1,), {"y": 2, "note": "n"}),
        ((1, 2, ["t"], "n"), {}), ((), {}), ((1,), {"x": 1}), ((1,), {"z": 1}),
        ((1, 2, [], "", 5), {}), ((), {"y": 1}),
    ],
)  # fmt: skip
def test_the_first_instances_are_made_as_the_later_ones(
    values: tuple[object, ...], named: dict[str, object]
) -> None:
    """Few are made without a compiled ``__init__``; arguments and complaints are the same."""

    @frozen
    class Fresh:
        x: int
        y: int = 0
        tags: list[str] = field(default_factory=list, hash=False)
        note: str = field(default="", repr=False, compare=False)

    maker: Any = Fresh

    def made() -> str:
        try:
            one = maker(*values, **named)
        except TypeError as exc:
            return str(exc)
        return f"{one} {one.note}"

    outcomes = [made() for _ in range(20)]
    assert set(outcomes) == {outcomes[0]}


def test_each_instance_has_what_is_made_anew_for_itself_and_is_checked() -> None:
    many = [Counter() for _ in range(20)]
    assert len({id(each.seen) for each in many}) == 20
    for _ in range(20):
        with pytest.raises(ValueError, match="negative"):
            Checked(-1)


def test_a_frozen_value_stays_as_it_was_made() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        del point.x
    with pytest.raises(AttributeError):
        point.z = 3  # type: ignore[attr-defined]
    assert not hasattr(point, "__dict__")


def test_arguments_are_checked_as_for_any_function() -> None:
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Wide(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point(1, nonsense=2)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="negative"):
        Checked(-1)


def test_a_default_that_is_made_is_made_anew() -> None:
    Point(1).tags.append("shared?")
    Counter().seen.add(1)
    assert Point(1).tags == []
    assert Counter().seen == set()


def test_a_mutable_one_can_be_assigned_to_and_is_itself_only() -> None:
    counter = Counter()
    counter.count += 1
    assert counter.count == 1
    assert Counter() != Counter()


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_copies_are_equal(again: object) -> None:
    point = Point(1, 2, ["a"], note="kept")
    other = again(point)  # type: ignore[operator]
    assert other == point
    assert other.note == "kept"


def test_a_repr_leaves_out_what_is_secret() -> None:
    assert repr(Point(1, note="secret")) == "Point(x=1, y=0, tags=[])"


def test_replacing_a_field_by_either_function() -> None:
    point = Point(1, 2, note="kept")
    assert replace(point, y=3) == dataclasses.replace(point, y=3) == Point(1, 3)
    assert dataclasses.replace(point, y=3).note == "kept"
    assert [one.name for one in dataclasses.fields(Point)] == ["x", "y", "tags", "note"]


def test_replacing_works_on_a_dataclass_too() -> None:
    @dataclasses.dataclass(frozen=True)
    class Other:
        a: int
        b: int = 2

    assert replace(Other(1), a=3) == Other(3, 2)


def test_a_cached_property_needs_a_dict_and_has_one() -> None:
    wide = Wide(a=2)
    assert (wide.double, wide.double, wide == Wide(a=2)) == (4, 4, True)


def test_the_parameters_can_be_matched() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("not matched")
