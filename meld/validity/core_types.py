"""Core types across modules: when two definitions are one type, and when one is a subtype of the other.

Type definitions are objects, and each module has its own. Two are the same type if their recursion groups have the same
shape, references inside the group taken by position. Each group gets a number here, that of the first of its shape.
Most programs have plain function types alone, which are equal if their shapes are: then this module is not needed.

Source: WebAssembly 3.0, section 3.3 (Matching) and 3.2.4 (Defined types, rolling).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from meld.binary.limits import MAX_SUPERS
from meld.diagnostics import MeldError
from meld.ir.types import AbstractHeap, ArrayType, ContType, FieldType, FuncType, RecGroup, RefType, StructType, TypeDef

H = AbstractHeap
ABOVE: dict[AbstractHeap, tuple[AbstractHeap, ...]] = {
    H.EQ: (H.ANY,),
    H.I31: (H.EQ, H.ANY),
    H.STRUCT: (H.EQ, H.ANY),
    H.ARRAY: (H.EQ, H.ANY),
    H.NONE: (H.I31, H.STRUCT, H.ARRAY, H.EQ, H.ANY),
    H.NOFUNC: (H.FUNC,),
    H.NOEXTERN: (H.EXTERN,),
    H.NOEXN: (H.EXN,),
    H.NOCONT: (H.CONT,),
}
"""What each abstract heap type is a subtype of, itself aside."""

KIND_OF_SHAPE: dict[type[Any], AbstractHeap] = {
    FuncType: H.FUNC,
    StructType: H.STRUCT,
    ArrayType: H.ARRAY,
    ContType: H.CONT,
}
BOTTOM = {H.FUNC: H.NOFUNC, H.STRUCT: H.NONE, H.ARRAY: H.NONE, H.CONT: H.NOCONT}


def is_plain(group: RecGroup) -> bool:
    """Whether a group is one final function type over numbers and abstract references: equal shapes are one type."""
    if len(group.types) != 1:
        return False
    (t,) = group.types
    return t.final and not t.supers and type(t.shape) is FuncType and not any(map(names_type, _parts(t.shape)))


def check_order(groups: Iterable[RecGroup]) -> None:
    """Raises MeldError if a type of a module refers to a later group, or to a later type of its own as its supertype.

    Source: WebAssembly 3.0, section 3.2.4 (recursive types): text can name what is not there yet.
    """
    known: set[TypeDef] = set()
    for group in groups:
        own = set(group.types)
        for t in group.types:
            for above in t.supers:
                if above not in known:
                    raise MeldError(f"{_called(t)} has the supertype {_called(above)}, which comes later", span=t.span)
            for part in _parts(t.shape):
                if names_type(part) and part.heap not in known and part.heap not in own:
                    raise MeldError(
                        f"{_called(t)} refers to {_called(part.heap)}, which comes later",
                        span=t.span,
                        hint="put both into one `(rec …)`",
                    )
            known.add(t)


def names_type(t: Any) -> bool:
    """Whether a value type refers to a type definition."""
    return type(t) is RefType and type(t.heap) is TypeDef


def _parts(shape: Any) -> Iterable[Any]:
    match shape:
        case FuncType(params, results):
            return (*params, *results)
        case StructType(fields):
            return [f.storage for f in fields]
        case ArrayType(element):
            return (element.storage,)
        case ContType(function):
            return (RefType(True, function),)
    raise TypeError(f"unknown type shape {shape!r}")


class CoreTypes:
    """The types of all modules so far. Add groups in the order of their modules: they refer to earlier ones only."""

    def __init__(self) -> None:
        self._pending: list[RecGroup] = []
        self._numbers: dict[TypeDef, tuple[int, int]] = {}
        self._groups: dict[Any, int] = {}

    def add(self, groups: Iterable[RecGroup]) -> None:
        """Registers groups; they are resolved when two types are compared."""
        self._pending += groups

    def number(self, t: TypeDef) -> tuple[int, int]:
        """What two definitions have in common if they are the same type: the group, and the position in it."""
        if self._pending:
            pending, self._pending = self._pending, []
            for group in pending:
                self._enter(group.types)
        if t not in self._numbers:  # written in place, so that it is no group's
            self._enter([t])
        return self._numbers[t]

    def _enter(self, types: list[TypeDef]) -> None:
        if types and types[0] in self._numbers:
            return
        inside = {t: i for i, t in enumerate(types)}

        def ident(t: TypeDef) -> Any:
            return inside[t] if t in inside else self._numbers.get(t) or ("?", id(t))

        key = tuple(
            (type(t.shape).__name__, _mapped(t.shape, ident), t.final, tuple(map(ident, t.supers))) for t in types
        )
        number = self._groups.setdefault(key, len(self._groups))
        for t, i in inside.items():
            self._numbers[t] = number, i

    def same(self, a: Any, b: Any) -> bool:
        """Whether two definitions, shapes, value types or storage types are the same type."""
        if a is b:
            return True
        if type(a) is RefType and type(b) is RefType:
            if type(a.heap) is TypeDef and type(b.heap) is TypeDef:
                return a.nullable == b.nullable and self.number(a.heap) == self.number(b.heap)
            return bool(a == b)
        if type(a) in (TypeDef, FuncType) and type(b) in (TypeDef, FuncType):
            return self.number(_defined(a)) == self.number(_defined(b))
        return bool(a == b)

    def fits(self, a: Any, b: Any) -> bool:
        """Whether the first, a definition, a function type or a value type, is a subtype of the second."""
        if self.same(a, b):
            return True
        if type(a) is RefType and type(b) is RefType:
            return (b.nullable or not a.nullable) and self._heap_fits(a.heap, b.heap)
        if type(a) is TypeDef and type(b) in (TypeDef, FuncType):
            return self._descends(a, _defined(b))
        return False

    def check_supers(self, t: TypeDef) -> None:
        """Raises MeldError if a definition cannot have the supertype that it declares."""
        if len(t.supers) > 1:
            raise MeldError(f"{_called(t)} has {len(t.supers)} supertypes; it can have one", span=t.span)
        for above in t.supers:
            if above.final:
                raise MeldError(
                    f"{_called(t)} has the supertype {_called(above)}, which is final",
                    span=t.span,
                    hint="declare that with `(sub …)`",
                )
            if not self._shape_fits(t.shape, above.shape):
                raise MeldError(f"{_called(t)} does not match its supertype, {_called(above)}", span=t.span)

    def _shape_fits(self, a: Any, b: Any) -> bool:
        match a, b:
            case FuncType(params, results), FuncType(wanted, promised):
                return (
                    len(params) == len(wanted)
                    and len(results) == len(promised)
                    and all(map(self.fits, wanted, params))
                    and all(map(self.fits, results, promised))
                )
            case StructType(fields), StructType(above):
                return len(fields) >= len(above) and all(map(self._field_fits, fields, above))
            case ArrayType(element), ArrayType(above):
                return self._field_fits(element, above)
            case ContType(function), ContType(above):
                return self.fits(function, above)
        return False

    def _field_fits(self, a: FieldType, b: FieldType) -> bool:
        if a.mutable != b.mutable:
            return False
        return self.same(a.storage, b.storage) or (not a.mutable and self.fits(a.storage, b.storage))

    def _heap_fits(self, a: Any, b: Any) -> bool:
        if type(a) is TypeDef:
            if type(b) is TypeDef:
                return self.number(a) == self.number(b) or self._descends(a, b)
            kind = KIND_OF_SHAPE[type(a.shape)]
            return b is kind or b in ABOVE.get(kind, ())
        if type(b) is TypeDef:
            return a is BOTTOM[KIND_OF_SHAPE[type(b.shape)]]
        return a is b or b in ABOVE.get(a, ())

    def _descends(self, a: TypeDef, b: TypeDef) -> bool:
        wanted = self.number(b)
        for _ in range(MAX_SUPERS + 1):
            if self.number(a) == wanted:
                return True
            if not a.supers:
                return False
            a = a.supers[0]
        return False


def _called(t: TypeDef) -> str:
    return f"the type `{t.name}`" if t.name else "a type"


def _defined(t: Any) -> TypeDef:
    return t if type(t) is TypeDef else TypeDef(t)


def _mapped(shape: Any, ident: Callable[[TypeDef], Any]) -> Any:
    def value(t: Any) -> Any:
        return (t.nullable, ident(t.heap)) if names_type(t) else t

    def field(f: FieldType) -> Any:
        return value(f.storage), f.mutable

    match shape:
        case FuncType(params, results):
            return tuple(map(value, params)), tuple(map(value, results))
        case StructType(fields):
            return tuple(map(field, fields))
        case ArrayType(element):
            return field(element)
        case ContType(function):
            return ident(function)
    raise TypeError(f"unknown type shape {shape!r}")
