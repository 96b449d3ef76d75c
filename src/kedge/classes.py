"""Classes of fields, frozen or mutable: what ``dataclasses`` makes, at a fraction of its start-up.

A command that only finds out that nothing is to be done still defines a hundred such classes.
``dataclasses`` costs it a fifth of its time: it imports ``inspect``, and compiles seven functions
for each class. Here one is compiled, the ``__init__``, and not before there are some instances: of
the classes that a run defines most have one or none. What does not differ from class to class is
shared. Knows nothing of kedge.

To type checkers, and to ``dataclasses.fields`` and ``replace``, these classes are dataclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[Any], Any]:
        return lambda decorator: decorator


T = TypeVar("T")
#: Compiling costs a tenth of a millisecond, assigning one by one three thousandths more each time.
_FEW = 16
_MISSING: Any = type("_Missing", (), {"__repr__": lambda self: "<made anew>"})()


class _Field:
    """What is special about one field."""

    __slots__ = ("compare", "default", "default_factory", "hash", "repr")

    def __init__(
        self,
        default: Any = _MISSING,
        default_factory: Callable[[], Any] | None = None,
        repr: bool = True,  # noqa: A002 - the names are those of dataclasses.field
        compare: bool = True,
        hash: bool | None = None,  # noqa: A002
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.repr = repr
        self.compare = compare
        self.hash = compare if hash is None else hash


def field(
    *,
    default: Any = _MISSING,
    default_factory: Callable[[], Any] | None = None,
    repr: bool = True,  # noqa: A002
    compare: bool = True,
    hash: bool | None = None,  # noqa: A002
) -> Any:
    """As ``dataclasses.field``."""
    return _Field(default, default_factory, repr, compare, hash)


@overload
def frozen(cls: type[T], /) -> type[T]: ...
@overload
def frozen(
    *, kw_only: bool = False, slots: bool = True, eq: bool = True, repr: bool = True
) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(
    cls: type[Any] | None = None,
    /,
    *,
    kw_only: bool = False,
    slots: bool = True,
    eq: bool = True,
    repr: bool = True,  # noqa: A002
) -> Any:
    """As ``dataclasses.dataclass(frozen=True, slots=True)``, for classes that inherit no fields.

    Without ``slots`` an instance has a ``__dict__``, which ``functools.cached_property`` needs.

    >>> @frozen
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(1), Point(1) == Point(1, 0), replace(Point(1), y=2)
    (Point(x=1, y=0), True, Point(x=1, y=2))
    """

    def make(cls: type[Any]) -> type[Any]:
        return _make(cls, kw_only=kw_only, slots=slots, eq=eq, with_repr=repr, freeze=True)

    return make if cls is None else make(cls)


@dataclass_transform(eq_default=False, field_specifiers=(field,))
def mutable(cls: type[T]) -> type[T]:
    """A class whose fields may be assigned to: slotted, compared by identity."""
    return _make(cls, kw_only=False, slots=True, eq=False, with_repr=True, freeze=False)


def replace(original: T, /, **changes: Any) -> T:
    """A value like ``original`` but for the fields given, as ``dataclasses.replace``.

    It works on a dataclass, too.
    """
    cls: Any = type(original)
    names = getattr(cls, "__kedge_fields__", None) or cls.__dataclass_fields__
    kept = {name: getattr(original, name) for name in names if name not in changes}
    made: T = cls(**kept, **changes)
    return made


def _make(
    cls: type[Any], *, kw_only: bool, slots: bool, eq: bool, with_repr: bool, freeze: bool
) -> type[Any]:
    namespace = dict(cls.__dict__)
    fields: dict[str, _Field] = {}
    for name in cls.__annotations__:
        given = namespace.pop(name, _MISSING)
        fields[name] = given if isinstance(given, _Field) else _Field(given)
    namespace["__match_args__"] = () if kw_only else tuple(fields)
    namespace["__kedge_fields__"] = tuple(fields)
    namespace["__dataclass_fields__"] = _DataclassFields()
    if freeze:
        namespace |= _freezing(tuple(fields))
    if eq:
        namespace |= _comparison(fields)
    if with_repr:
        shown = tuple(name for name, each in fields.items() if each.repr)
        namespace.setdefault("__repr__", _repr(shown))
    if slots:
        namespace["__slots__"] = tuple(fields)
    namespace.pop("__dict__", None)
    namespace.pop("__weakref__", None)
    made = type(cls.__name__, cls.__bases__, namespace)
    if "__init__" not in namespace:
        _give_init(made, fields, kw_only=kw_only)
    return made


def _give_init(made: Any, fields: Mapping[str, _Field], *, kw_only: bool) -> None:
    """An ``__init__`` that assigns one by one, until there are instances enough to compile it."""
    post_init = vars(made).get("__post_init__")
    instances = 0

    def compiled() -> Callable[..., None]:
        made.__init__ = _init(fields, made, kw_only=kw_only)
        return made.__init__  # type: ignore[no-any-return]

    def __init__(self: object, /, *values: Any, **named: Any) -> None:  # noqa: N807
        nonlocal instances
        instances += 1
        if instances > _FEW or not _assign(self, fields, values, named, kw_only=kw_only):
            compiled()(self, *values, **named)
        elif post_init is not None:
            post_init(self)

    made.__init__ = __init__
    made.__signature__ = _Signature(made, compiled)


def _assign(
    instance: object,
    fields: Mapping[str, _Field],
    values: tuple[Any, ...],
    named: dict[str, Any],
    *,
    kw_only: bool,
) -> bool:
    """What the compiled ``__init__`` does; ``False`` where that one would complain."""
    if len(values) > (0 if kw_only else len(fields)):
        return False
    given = dict(zip(fields, values, strict=False))
    if not (named.keys() <= fields.keys() and named.keys().isdisjoint(given)):
        return False
    given |= named
    for name, each in fields.items():
        if each.default_factory is not None:
            if given.get(name, _MISSING) is _MISSING:
                given[name] = each.default_factory()
        elif name not in given:
            if each.default is _MISSING:
                return False
            given[name] = each.default
    for name in fields:
        object.__setattr__(instance, name, given[name])
    return True


class _Signature:
    """``__signature__``, made for whoever asks: that of the ``__init__`` to come."""

    def __init__(self, made: type, compiled: Callable[[], Callable[..., None]]) -> None:
        self._made = made
        self._compiled = compiled

    def __get__(self, instance: object, owner: type) -> Any:
        import inspect

        if owner is not self._made:
            return None
        whole = inspect.signature(self._compiled())
        return whole.replace(parameters=list(whole.parameters.values())[1:])


def _init(fields: Mapping[str, _Field], cls: type, *, kw_only: bool) -> Callable[..., None]:
    """``__init__``, compiled: values are made by the ten thousand."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_missing": _MISSING}
    parameters, body = [], []
    for name, each in fields.items():
        given = name
        if each.default_factory is not None:
            names[f"_make_{name}"] = each.default_factory
            parameters.append(f"{name}=_missing")
            given = f"_make_{name}() if {name} is _missing else {name}"
        elif each.default is not _MISSING:
            names[f"_default_{name}"] = each.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        body.append(f" _set(self, {name!r}, {given})")
    if "__post_init__" in vars(cls):
        body.append(" self.__post_init__()")
    star = "*, " if kw_only and fields else ""
    source = f"def __init__(self, {star}{', '.join(parameters)}):\n" + "\n".join(body or [" pass"])
    exec(source, names)  # noqa: S102 - the names are those of the class's own fields
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    return init


def _freezing(names: tuple[str, ...]) -> dict[str, Any]:
    """What keeps an instance as it was made, copies and pickles it."""

    def refuse_set(self: object, name: str, new: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot assign to {name!r}")

    def refuse_delete(self: object, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {name!r}")

    def reduce(self: object) -> tuple[Any, ...]:
        return _restore, (type(self), tuple(getattr(self, name) for name in names))

    return {
        "__setattr__": refuse_set,
        "__delattr__": refuse_delete,
        "__reduce__": reduce,
        "__replace__": replace,
    }


def _restore(cls: type[T], values: tuple[Any, ...]) -> T:
    restored = object.__new__(cls)
    for name, each in zip(cls.__kedge_fields__, values, strict=True):  # type: ignore[attr-defined]
        object.__setattr__(restored, name, each)
    return restored


def _comparison(fields: dict[str, _Field]) -> dict[str, Any]:
    compared = _key(tuple(name for name, each in fields.items() if each.compare))
    hashed = _key(tuple(name for name, each in fields.items() if each.hash))

    def equal(self: object, other: object) -> Any:
        if other.__class__ is self.__class__:
            return compared(self) == compared(other)
        return NotImplemented

    return {"__eq__": equal, "__hash__": lambda self: hash(hashed(self))}


def _key(names: tuple[str, ...]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()


def _repr(names: tuple[str, ...]) -> Callable[[object], str]:
    def show(self: object) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return show


class _DataclassFields:
    """``__dataclass_fields__``, made for whoever asks: ``dataclasses`` is not imported before."""

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        import dataclasses

        names: tuple[str, ...] = owner.__kedge_fields__  # type: ignore[attr-defined]
        model = dataclasses.make_dataclass(owner.__name__, [(name, Any) for name in names])
        return {one.name: one for one in dataclasses.fields(model)}
