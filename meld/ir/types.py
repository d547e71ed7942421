"""Types of core WebAssembly: value types, heap types and the definitions of the type section.

Source: WebAssembly 3.0, section 2.3 (types). References to type definitions are objects; two definitions are the same
type only if the engine says so (iso-recursive equality), so `TypeDef` compares by identity.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from meld.support.records import record

if TYPE_CHECKING:
    from meld.diagnostics import Span
    from meld.ir.notes import Note


class NumType(Enum):
    """Number and vector types; the value is the name in text."""

    I32 = "i32"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"
    V128 = "v128"


class AbstractHeap(Enum):
    """Abstract heap types; the value is the name in text."""

    FUNC = "func"
    EXTERN = "extern"
    ANY = "any"
    EQ = "eq"
    I31 = "i31"
    STRUCT = "struct"
    ARRAY = "array"
    EXN = "exn"
    CONT = "cont"
    NONE = "none"
    NOFUNC = "nofunc"
    NOEXTERN = "noextern"
    NOEXN = "noexn"
    NOCONT = "nocont"


class Packed(Enum):
    """Packed storage types of struct and array fields."""

    I8 = "i8"
    I16 = "i16"


@record(eq=False)
class TypeDef:
    """One type definition. Compared by identity."""

    shape: FuncType | StructType | ArrayType | ContType
    name: str | None = None
    final: bool = True
    supers: tuple[TypeDef, ...] = ()
    field_names: dict[int, str] = field(default_factory=dict)  # of a structure; of a function type, its parameters
    notes: list[Note] = field(default_factory=list)
    span: Span | None = None


HeapType: TypeAlias = AbstractHeap | TypeDef


@record(frozen=True)
class RefType:
    """`(ref null? heap)`."""

    nullable: bool
    heap: HeapType


ValType: TypeAlias = NumType | RefType
StorageType: TypeAlias = NumType | RefType | Packed

I32, I64, F32, F64, V128 = NumType.I32, NumType.I64, NumType.F32, NumType.F64, NumType.V128
FUNCREF = RefType(True, AbstractHeap.FUNC)
EXTERNREF = RefType(True, AbstractHeap.EXTERN)


@record(frozen=True)
class FuncType:
    """`(func (param …) (result …))`. Parameter names belong to functions, not to types."""

    params: tuple[ValType, ...] = ()
    results: tuple[ValType, ...] = ()


@record(frozen=True)
class FieldType:
    """A struct field or the element of an array."""

    storage: StorageType
    mutable: bool


@record(frozen=True)
class StructType:
    """`(struct (field …)…)`."""

    fields: tuple[FieldType, ...] = ()


@record(frozen=True)
class ArrayType:
    """`(array field)`."""

    element: FieldType


@record(frozen=True)
class ContType:
    """`(cont $function)`: continuations that take the parameters of a function type, and end with its results.

    Source: the proposal of stack switching.
    """

    function: TypeDef


@record(eq=False)
class RecGroup:
    """A recursion group. `explicit` tells `(rec (type …))` from a bare `(type …)`, which the binary distinguishes."""

    types: list[TypeDef]
    explicit: bool = False


@record(frozen=True)
class Limits:
    """Limits of a memory (in pages) or a table (in elements)."""

    minimum: int
    maximum: int | None = None
    is64: bool = False
    shared: bool = False
    page_size_log2: int | None = None  # memories with custom page sizes; None is 16
