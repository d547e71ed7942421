"""Layout of component values: alignment, size, flattening.

A `Layout` says how a value type stands in a linear memory with 32- or 64-bit addresses and which core values carry it
in a call. Types are despecialised on the way (a tuple is a record, an option a variant, a map a list of pairs), and
types of the same shape share one layout, so that code generated per layout is generated once.

Source: Component Model, CanonicalABI.md: Despecialization, Alignment, Element Size, Flattening.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from enum import Enum

from meld.abi.types import MAX_TYPE_DEPTH, Type
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.types import F32, F64, I32, I64, FuncType, NumType
from meld.support.records import record

MAX_FLAT_PARAMS = 16
MAX_FLAT_RESULTS = 1
MAX_FLAT_ASYNC_PARAMS = 4
MAX_FLAT = 16
"""No call carries more core values than this; `Layout.flat` is cut one beyond it."""
MAX_VALUE_BYTES = (1 << 28) - 1
MAX_FLAGS = 32


class Kind(Enum):
    """Shapes of values, despecialised."""

    BOOL = "bool"
    U8 = "u8"
    S8 = "s8"
    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    U64 = "u64"
    S64 = "s64"
    F32 = "f32"
    F64 = "f64"
    CHAR = "char"
    FLAGS = "flags"
    STRING = "string"
    LIST = "list"
    FIXED_LIST = "fixed-length list"
    RECORD = "record"
    VARIANT = "variant"
    OWN = "own"
    BORROW = "borrow"
    STREAM = "stream"
    FUTURE = "future"
    ERROR_CONTEXT = "error-context"


SCALARS: dict[Kind, tuple[int, NumType]] = {
    Kind.BOOL: (1, I32),
    Kind.U8: (1, I32),
    Kind.S8: (1, I32),
    Kind.U16: (2, I32),
    Kind.S16: (2, I32),
    Kind.U32: (4, I32),
    Kind.S32: (4, I32),
    Kind.U64: (8, I64),
    Kind.S64: (8, I64),
    Kind.F32: (4, F32),
    Kind.F64: (8, F64),
    Kind.CHAR: (4, I32),
    Kind.OWN: (4, I32),
    Kind.BORROW: (4, I32),
    Kind.STREAM: (4, I32),
    Kind.FUTURE: (4, I32),
    Kind.ERROR_CONTEXT: (4, I32),
}
"""Size (and alignment) in bytes, and core type."""

UNCHECKED = frozenset(
    {Kind.U8, Kind.S8, Kind.U16, Kind.S16, Kind.U32, Kind.S32, Kind.U64, Kind.S64, Kind.F32, Kind.F64}
)
"""Kinds of which every bit pattern in memory is a value, stored as it is loaded."""


@record(eq=False)
class Layout:
    """How values of one shape stand in memory and in core values. Shapes are shared: compare by identity.

    Attributes:
        align, size: in bytes; `size` is that of a list element.
        flat: the core values that carry it, cut at `MAX_FLAT` + 1.
        fields: of a record: offset in bytes and layout.
        cases: of a variant: layout of each payload.
        discriminant, payload: of a variant: size of the discriminant, offset of the payload, in bytes.
        element, length: of a list.
        labels: of flags: how many.
        resource: of own and borrow: the resource, compared by identity.
        carries: of a stream or future: its type.
        plain: every bit pattern in memory is a value and there is no padding: copying bytes copies values.
        allocates: holds a string or a list, so lowering it calls `realloc`.
        weight: how many scalars and branches a copy takes; what code generation goes by.
    """

    kind: Kind
    align: int
    size: int
    flat: tuple[NumType, ...]
    fields: tuple[tuple[int, Layout], ...] = ()
    cases: tuple[Layout | None, ...] = ()
    discriminant: int = 0
    payload: int = 0
    element: Layout | None = None
    length: int = 0
    labels: int = 0
    resource: object = None
    carries: Type = None
    plain: bool = False
    allocates: bool = False
    weight: int = 1

    @property
    def inner(self) -> tuple[Layout, ...]:
        """The layouts directly inside."""
        own = () if self.element is None else (self.element,)
        return (*(x for _, x in self.fields), *(x for x in self.cases if x is not None), *own)

    @property
    def identical(self) -> bool:
        """Lifting and then lowering it flat does nothing at all."""
        return self.kind in UNCHECKED and self.size >= 4

    def outermost(self, wanted: Callable[[Layout], bool]) -> Iterator[Layout]:
        """The layouts in it that are wanted, itself included, but for those inside of others that are; each once."""
        seen: set[int] = set()
        pending = [self]
        while pending:
            one = pending.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            if wanted(one):
                yield one
            else:
                pending += one.inner

    def kinds(self) -> set[Kind]:
        """All kinds that occur in it."""
        seen: set[int] = set()
        found: set[Kind] = set()
        pending = [self]
        while pending:
            layout = pending.pop()
            if id(layout) not in seen:
                seen.add(id(layout))
                found.add(layout.kind)
                pending.extend(layout.inner)
        return found


def align_to(offset: int, align: int) -> int:
    """`offset` rounded up to a multiple of `align`."""
    return -(-offset // align) * align


def join(a: NumType, b: NumType) -> NumType:
    """The core type that can carry either (CanonicalABI.md, Flattening)."""
    if a is b:
        return a
    return I32 if {a, b} == {I32, F32} else I64


def discriminant_size(cases: int) -> int:
    """Bytes of the discriminant of a variant with so many cases."""
    return 1 if cases <= 1 << 8 else 2 if cases <= 1 << 16 else 4


@record()
class Layouts:
    """The layouts of all types for one width of addresses, each computed once.

    Raises (all methods):
        MeldError: a type that no validator accepts: nested too deep, too large, too many flags, an empty record.
    """

    pointer: NumType = I32
    _of: dict[int, tuple[Type, Layout]] = field(default_factory=dict)  # by id(type); the type is kept alive
    _shapes: dict[tuple[object, ...], Layout] = field(default_factory=dict)

    @property
    def pointer_size(self) -> int:
        """Bytes of an address."""
        return 8 if self.pointer is I64 else 4

    def of(self, t: Type, depth: int = 0) -> Layout:
        """The layout of a resolved type."""
        if depth > MAX_TYPE_DEPTH:
            raise MeldError(f"a type is nested more than {MAX_TYPE_DEPTH} deep")
        known = self._of.get(id(t))
        if known is None:
            layout = self._make(t, depth + 1)
            if layout.size > MAX_VALUE_BYTES:
                raise MeldError(f"a value type takes {layout.size} bytes; the limit is {MAX_VALUE_BYTES}")
            known = self._of[id(t)] = (t, layout)
        return known[1]

    def tuple_of(self, types: Iterable[Type]) -> Layout:
        """The layout of parameters, or a result, as one record."""
        return self.record([self.of(t) for t in types])

    def _make(self, t: Type, depth: int) -> Layout:
        def sub(x: Type | None) -> Layout | None:
            return None if x is None else self.of(x, depth)

        match t:
            case c.Prim.STRING:
                return self._pair(Kind.STRING, None)
            case c.Prim():
                return self._scalar(Kind(t.value))
            case c.Own(resource):
                return self._scalar(Kind.OWN, resource)
            case c.Borrow(resource):
                return self._scalar(Kind.BORROW, resource)
            case c.Stream(element):
                return self._channel(Kind.STREAM, t, sub(element))
            case c.Future(element):
                return self._channel(Kind.FUTURE, t, sub(element))
            case c.Record(fields):
                return self.record([self.of(x, depth) for _, x in fields])
            case c.Tuple(elements):
                return self.record([self.of(x, depth) for x in elements])
            case c.Variant(cases):
                return self.variant([sub(x) for _, x in cases])
            case c.EnumType(names):
                return self.variant([None] * len(names))
            case c.Option(element):
                return self.variant([None, self.of(element, depth)])
            case c.Result(ok, error):
                return self.variant([sub(ok), sub(error)])
            case c.Flags(names):
                return self._flags(len(names))
            case c.ListType(element, None):
                return self._pair(Kind.LIST, self.of(element, depth))
            case c.ListType(element, int(length)):
                return self._fixed_list(self.of(element, depth), length)
            case c.MapType(key, value):
                return self._pair(Kind.LIST, self.record([self.of(key, depth), self.of(value, depth)]))
        raise TypeError(f"not a resolved type: {t!r}")

    def _scalar(self, kind: Kind, resource: object = None) -> Layout:
        key = (kind, id(resource))
        if key not in self._shapes:
            size, core = SCALARS[kind]
            self._shapes[key] = Layout(kind, size, size, (core,), resource=resource, plain=kind in UNCHECKED)
        return self._shapes[key]

    def _channel(self, kind: Kind, t: Type, element: Layout | None) -> Layout:
        """A handle of a stream or future. Types of one shape differ: a handle is of one type."""
        key = (kind, t)
        if key not in self._shapes:
            size, core = SCALARS[kind]
            self._shapes[key] = Layout(kind, size, size, (core,), resource=element, carries=t)
        return self._shapes[key]

    def _flags(self, labels: int) -> Layout:
        if not 0 < labels <= MAX_FLAGS:
            raise MeldError(f"a flags type has {labels} labels; 1 to {MAX_FLAGS} are allowed")
        key = (Kind.FLAGS, labels)
        if key not in self._shapes:
            size = 1 if labels <= 8 else 2 if labels <= 16 else 4
            self._shapes[key] = Layout(Kind.FLAGS, size, size, (I32,), labels=labels, plain=labels == size * 8)
        return self._shapes[key]

    def _pair(self, kind: Kind, element: Layout | None) -> Layout:
        """An address and a length."""
        key = (kind, id(element))
        if key not in self._shapes:
            size = self.pointer_size
            flat = (self.pointer, self.pointer)
            self._shapes[key] = Layout(kind, size, 2 * size, flat, element=element, allocates=True, weight=2)
        return self._shapes[key]

    def _fixed_list(self, element: Layout, length: int) -> Layout:
        if length <= 0:
            raise MeldError("a fixed-length list has no elements")
        key = (Kind.FIXED_LIST, id(element), length)
        if key not in self._shapes:
            self._shapes[key] = Layout(
                Kind.FIXED_LIST,
                element.align,
                element.size * length,
                (element.flat * min(length, MAX_FLAT + 1))[: MAX_FLAT + 1],
                element=element,
                length=length,
                plain=element.plain,
                allocates=element.allocates,
                weight=element.weight * min(length, 4) + 1,
            )
        return self._shapes[key]

    def record(self, parts: list[Layout]) -> Layout:
        """The layout of a record of these fields; of no fields only for an empty parameter list."""
        key = (Kind.RECORD, *map(id, parts))
        if key not in self._shapes:
            fields, offset = [], 0
            flat: list[NumType] = []
            for part in parts:
                offset = align_to(offset, part.align)
                fields.append((offset, part))
                offset += part.size
                if len(flat) <= MAX_FLAT:
                    flat += part.flat
            align = max((part.align for part in parts), default=1)
            size = align_to(offset, align)
            self._shapes[key] = Layout(
                Kind.RECORD,
                align,
                size,
                tuple(flat[: MAX_FLAT + 1]),
                fields=tuple(fields),
                plain=all(part.plain for part in parts) and size == sum(part.size for part in parts),
                allocates=any(part.allocates for part in parts),
                weight=sum(part.weight for part in parts),
            )
        return self._shapes[key]

    def variant(self, cases: list[Layout | None]) -> Layout:
        """The layout of a variant whose cases have these payloads."""
        if not cases:
            raise MeldError("a variant or enum has no cases")
        key = (Kind.VARIANT, *(id(case) for case in cases))
        if key not in self._shapes:
            payloads = [case for case in cases if case is not None]
            discriminant = discriminant_size(len(cases))
            payload_align = max((case.align for case in payloads), default=1)
            align = max(discriminant, payload_align)
            payload = align_to(discriminant, payload_align)
            flat: list[NumType] = []
            for case in payloads:
                for i, core in enumerate(case.flat):
                    if i < len(flat):
                        flat[i] = join(flat[i], core)
                    else:
                        flat.append(core)
            self._shapes[key] = Layout(
                Kind.VARIANT,
                align,
                align_to(payload + max((case.size for case in payloads), default=0), align),
                (I32, *flat)[: MAX_FLAT + 1],
                cases=tuple(cases),
                discriminant=discriminant,
                payload=payload,
                allocates=any(case.allocates for case in payloads),
                weight=2 + sum(case.weight for case in payloads),
            )
        return self._shapes[key]


def pointer_of(is64: bool) -> NumType:
    """The type of addresses of a memory."""
    return I64 if is64 else I32


def core_type(t: c.CompFuncType, layouts: Layouts, *, lower: bool) -> FuncType:
    """The core function type of a synchronous `canon lift` (or, with `lower`, `canon lower`) of a function type.

    Source: CanonicalABI.md, Flattening (`flatten_functype`).
    """
    params = layouts.tuple_of(x for _, x in t.params).flat
    if len(params) > MAX_FLAT_PARAMS:
        params = (layouts.pointer,)
    results = () if t.result is None else layouts.of(t.result).flat
    if len(results) > MAX_FLAT_RESULTS:
        return FuncType((*params, layouts.pointer)) if lower else FuncType(params, (layouts.pointer,))
    return FuncType(params, results)
