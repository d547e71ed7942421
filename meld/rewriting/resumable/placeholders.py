"""Placeholders: values that a function returns while it is unwound, and that are never read.

A reference that must not be null has to come from somewhere: a function that is never called, an empty array, a struct
of such values, an exception that is caught at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from meld.ir.instructions import Catch, Code, Instruction
from meld.ir.module import ElementSegment, Function, Module, Tag
from meld.ir.types import (
    FUNCREF,
    AbstractHeap,
    ArrayType,
    FieldType,
    FuncType,
    HeapType,
    NumType,
    Packed,
    RecGroup,
    RefType,
    StorageType,
    StructType,
    TypeDef,
)
from meld.rewriting.labels import Flat, Label, snippet
from meld.rewriting.resumable.carrier import KIND
from meld.support.records import record


class NoValueError(Exception):
    """There is no value of a type."""


@record(eq=False)
class Placeholders:
    """Writes placeholders; what they need is added to the module once."""

    module: Module
    _functions: dict[TypeDef, Function] = field(default_factory=dict)
    _types: dict[AbstractHeap, TypeDef] = field(default_factory=dict)
    _tags: list[Tag] = field(default_factory=list)

    def value(self, t: StorageType, within: tuple[TypeDef, ...] = ()) -> list[Flat]:
        """Instructions that leave a value of a type. Raises NoValueError if the type has none.

        Args:
            within: the struct types of which it is a field.
        """
        if isinstance(t, Packed):
            return [Instruction("i32.const", (0,))]
        if isinstance(t, NumType):
            return [Instruction(f"{t.value}.const", (0,))]
        if t.nullable:
            return [Instruction("ref.null", (t.heap,))]
        if isinstance(t.heap, TypeDef):
            return self._defined(t.heap, within)
        make = _ABSTRACT.get(t.heap)
        if make is None:
            raise NoValueError
        return make(self)

    def _defined(self, t: TypeDef, within: tuple[TypeDef, ...]) -> list[Flat]:
        match t.shape:
            case FuncType():
                return [Instruction("ref.func", (self._function(t),))]
            case ArrayType():
                return [Instruction("array.new_fixed", (t, 0))]
            case StructType(fields):
                if t in within:
                    raise NoValueError
                values = [i for f in fields for i in self.value(f.storage, (*within, t))]
                return [*values, Instruction("struct.new", (t,))]
        raise AssertionError(t.shape)

    def _function(self, t: TypeDef) -> Function:
        """A function of a type that is never called."""
        found = self._functions.get(t)
        if found is None:
            body = Code([], [Instruction("unreachable")])
            found = self._functions[t] = Function(t, body, name="frames.never", synthetic=KIND)
            self.module.add(found)
            self.module.elements.append(ElementSegment(type=FUNCREF, functions=[found], declarative=True))
        return found

    def of_no_function(self) -> list[Flat]:
        """A function."""
        return self._defined(self.module.func_type(), ())

    def of_number(self) -> list[Flat]:
        """A small integer."""
        return snippet("i32.const 0 ref.i31")

    def of_host(self) -> list[Flat]:
        """A reference of the host's hierarchy."""
        return snippet("i32.const 0 ref.i31 extern.convert_any")

    def of_struct(self) -> list[Flat]:
        """A struct without fields."""
        return self._defined(self._type(AbstractHeap.STRUCT, StructType()), ())

    def of_array(self) -> list[Flat]:
        """An array without elements."""
        return self._defined(self._type(AbstractHeap.ARRAY, ArrayType(FieldType(Packed.I8, True))), ())

    def _type(self, heap: AbstractHeap, shape: StructType | ArrayType) -> TypeDef:
        found = self._types.get(heap)
        if found is None:
            found = self._types[heap] = TypeDef(shape)
            self.module.types.append(RecGroup([found]))
        return found

    def of_exception(self) -> list[Flat]:
        """An exception."""
        caught = Label()
        return snippet(
            "block type=$type @caught try_table catches=$catches throw $tag end unreachable end",
            **{"type": RefType(False, AbstractHeap.EXN), "caught": caught, "tag": self.tag()},
            catches=(Catch("catch_all_ref", None, caught),),  # type: ignore[arg-type]
        )

    def tag(self) -> Tag:
        """The tag of an exception that only `catch_all` catches."""
        if not self._tags:
            self._tags.append(Tag(self.module.func_type(), name="frames.none", synthetic=KIND))
            self.module.add(self._tags[0])
        return self._tags[0]


_ABSTRACT: dict[HeapType, Callable[[Placeholders], list[Flat]]] = {
    AbstractHeap.FUNC: Placeholders.of_no_function,
    AbstractHeap.EXTERN: Placeholders.of_host,
    AbstractHeap.ANY: Placeholders.of_number,
    AbstractHeap.EQ: Placeholders.of_number,
    AbstractHeap.I31: Placeholders.of_number,
    AbstractHeap.STRUCT: Placeholders.of_struct,
    AbstractHeap.ARRAY: Placeholders.of_array,
    AbstractHeap.EXN: Placeholders.of_exception,
}
