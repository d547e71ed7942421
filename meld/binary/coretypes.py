"""Types of core WebAssembly in the binary format (WebAssembly 3.0, section 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from meld.binary.cursor import Cursor
from meld.binary.leb import signed, unsigned, vector
from meld.diagnostics import MeldError
from meld.ir import proposals
from meld.ir.types import (
    AbstractHeap,
    ArrayType,
    ContType,
    FieldType,
    FuncType,
    HeapType,
    Limits,
    NumType,
    Packed,
    RecGroup,
    RefType,
    StorageType,
    StructType,
    TypeDef,
    ValType,
)

NUM_CODES = {NumType.I32: 0x7F, NumType.I64: 0x7E, NumType.F32: 0x7D, NumType.F64: 0x7C, NumType.V128: 0x7B}
PACKED_CODES = {Packed.I8: 0x78, Packed.I16: 0x77}
HEAP_CODES = {
    AbstractHeap.NOCONT: 0x75,
    AbstractHeap.NOEXN: 0x74,
    AbstractHeap.NOFUNC: 0x73,
    AbstractHeap.NOEXTERN: 0x72,
    AbstractHeap.NONE: 0x71,
    AbstractHeap.FUNC: 0x70,
    AbstractHeap.EXTERN: 0x6F,
    AbstractHeap.ANY: 0x6E,
    AbstractHeap.EQ: 0x6D,
    AbstractHeap.I31: 0x6C,
    AbstractHeap.STRUCT: 0x6B,
    AbstractHeap.ARRAY: 0x6A,
    AbstractHeap.EXN: 0x69,
    AbstractHeap.CONT: 0x68,
}
NUM_BY_CODE = {code: t for t, code in NUM_CODES.items()}
PACKED_BY_CODE = {code: t for t, code in PACKED_CODES.items()}
HEAP_BY_CODE = {code: t for t, code in HEAP_CODES.items()}
REF_NULL, REF = 0x63, 0x64
MAX_SUPERS = 1


def unknown_code(c: Cursor, message: str, at: int, known: Mapping[int, str]) -> MeldError:
    """The error of a byte that means nothing: names the proposal of `known` that it belongs to, if there is one."""
    proposal = known.get(c.data[at])
    if proposal is None:
        return c.error(message, at)
    return c.error(proposals.unsupported(proposal, f"byte {c.data[at]:#04x}"), at, hint=proposals.HINT)


class CoreTypeReader:
    """Reads types; `types` is the type index space so far, to which recursion groups are added."""

    def __init__(self, types: list[TypeDef]) -> None:
        self.types = types

    def typedef(self, c: Cursor) -> TypeDef:
        """A type index."""
        at = c.pos
        return self._at(c, c.u32("type index"), at)

    def _at(self, c: Cursor, index: int, at: int) -> TypeDef:
        if index >= len(self.types):
            raise c.error(f"unknown type {index}", at, hint=f"there are {len(self.types)} types here")
        return self.types[index]

    def functype(self, c: Cursor) -> TypeDef:
        """The index of a function type."""
        at = c.pos
        typedef = self.typedef(c)
        if not isinstance(typedef.shape, FuncType):
            raise c.error("not a function type", at)
        return typedef

    def heaptype(self, c: Cursor) -> HeapType:
        """A heap type: an abstract one, or a type index."""
        at = c.pos
        value = c.s33("heap type")
        if value >= 0:
            return self._at(c, value, at)
        abstract = HEAP_BY_CODE.get(value & 0x7F) if value >= -64 else None
        if abstract is None:
            raise unknown_code(c, "malformed heap type", at, proposals.HEAP_CODES)
        return abstract

    def valtype(self, c: Cursor) -> ValType:
        """A value type."""
        byte = c.peek()
        if byte in NUM_BY_CODE:
            c.pos += 1
            return NUM_BY_CODE[byte]
        return self.reftype(c)

    def reftype(self, c: Cursor) -> RefType:
        """A reference type, in the long or in the short form."""
        at = c.pos
        byte = c.u8("type")
        if byte in (REF, REF_NULL):
            return RefType(byte == REF_NULL, self.heaptype(c))
        if byte in HEAP_BY_CODE:
            return RefType(True, HEAP_BY_CODE[byte])
        raise unknown_code(c, f"malformed type {byte:#04x}", at, proposals.HEAP_CODES)

    def storage(self, c: Cursor) -> StorageType:
        """A storage type."""
        byte = c.peek()
        if byte in PACKED_BY_CODE:
            c.pos += 1
            return PACKED_BY_CODE[byte]
        return self.valtype(c)

    def field(self, c: Cursor) -> FieldType:
        """A field type."""
        return FieldType(self.storage(c), self.mutability(c))

    def mutability(self, c: Cursor) -> bool:
        """The byte that says whether a field or a global may change."""
        byte = c.u8("mutability")
        if byte > 1:
            proposal = {byte: proposals.THREADS} if byte & ~1 == proposals.SHARED else {}
            raise unknown_code(c, f"malformed mutability {byte:#04x}", c.pos - 1, proposal)
        return byte == 1

    def limits(self, c: Cursor, what: str) -> Limits:
        """The limits of a ``memory`` or a ``table``."""
        at = c.pos
        flags = c.u8(f"limits of a {what}")
        if flags & ~(0x0F if what == "memory" else 0x05):
            known = {flags: proposals.THREADS} if flags & ~5 == proposals.SHARED else {}
            raise unknown_code(c, f"malformed limits flags {flags:#04x}", at, known)
        is64 = bool(flags & 4)
        bound = c.u64 if is64 else c.u32
        minimum = bound("minimum")
        maximum = bound("maximum") if flags & 1 else None
        page = c.u32("page size") if flags & 8 else None
        if page is not None and page > 16:
            raise c.error(f"invalid custom page size: 2^{page} bytes", at)
        return Limits(minimum, maximum, is64, bool(flags & 2), page)

    def table(self, c: Cursor) -> tuple[RefType, Limits]:
        """A table type."""
        reftype = self.reftype(c)
        return reftype, self.limits(c, "table")

    def globaltype(self, c: Cursor) -> tuple[ValType, bool]:
        """A global type: the type and whether it is mutable."""
        valtype = self.valtype(c)
        return valtype, self.mutability(c)

    def tag(self, c: Cursor) -> TypeDef:
        """A tag type: a function type after the attribute byte."""
        if c.u8("attribute of a tag") != 0:
            raise c.error("malformed attribute of a tag", c.pos - 1)
        return self.functype(c)

    def rec_group(self, c: Cursor) -> RecGroup:
        """One entry of a type section; its definitions may refer to each other."""
        explicit = c.peek() == 0x4E
        count = 1
        if explicit:
            c.pos += 1
            count = c.count("types of a recursion group")
        group = RecGroup([TypeDef(FuncType()) for _ in range(count)], explicit)
        self.types += group.types
        for typedef in group.types:
            self._sub(c, typedef)
        return group

    def _sub(self, c: Cursor, typedef: TypeDef) -> None:
        byte = c.peek()
        if byte in (0x4F, 0x50):
            c.pos += 1
            typedef.final = byte == 0x4F
            at = c.pos
            count = c.count("supertypes")
            if count > MAX_SUPERS:
                raise c.error(f"{count} supertypes; a type has one at most", at)
            typedef.supers = tuple(self.typedef(c) for _ in range(count))
        at = c.pos
        match c.u8("type definition"):
            case 0x60:
                params = tuple(self.valtype(c) for _ in range(c.count("parameters")))
                typedef.shape = FuncType(params, tuple(self.valtype(c) for _ in range(c.count("results"))))
            case 0x5F:
                typedef.shape = StructType(tuple(self.field(c) for _ in range(c.count("fields"))))
            case 0x5E:
                typedef.shape = ArrayType(self.field(c))
            case 0x5D:
                typedef.shape = ContType(self._cont(c))
            case other:
                raise unknown_code(c, f"malformed type definition {other:#04x}", at, proposals.TYPE_FORMS)

    def _cont(self, c: Cursor) -> TypeDef:
        """The function type of continuations, written as a heap type."""
        at = c.pos
        function = self.heaptype(c)
        if not isinstance(function, TypeDef):
            raise c.error("continuations are of a function type that is defined", at)
        return function


class CoreTypeWriter:
    """Writes types; `index_of` gives the index of a definition."""

    def __init__(self, index_of: Callable[[TypeDef], int]) -> None:
        self.index_of = index_of

    def heaptype(self, t: HeapType) -> bytes:
        """A heap type."""
        if isinstance(t, AbstractHeap):
            return bytes((HEAP_CODES[t],))
        return signed(self.index_of(t))

    def reftype(self, t: RefType) -> bytes:
        """A reference type, in the short form where there is one."""
        if t.nullable and isinstance(t.heap, AbstractHeap):
            return bytes((HEAP_CODES[t.heap],))
        return bytes((REF_NULL if t.nullable else REF,)) + self.heaptype(t.heap)

    def valtype(self, t: ValType) -> bytes:
        """A value type."""
        return self.reftype(t) if isinstance(t, RefType) else bytes((NUM_CODES[t],))

    def storage(self, t: StorageType) -> bytes:
        """A storage type."""
        return bytes((PACKED_CODES[t],)) if isinstance(t, Packed) else self.valtype(t)

    def field(self, f: FieldType) -> bytes:
        """A field type."""
        return self.storage(f.storage) + bytes((f.mutable,))

    def limits(self, limits: Limits) -> bytes:
        """Limits of a memory or a table."""
        page = limits.page_size_log2
        flags = (limits.maximum is not None) | limits.shared << 1 | limits.is64 << 2 | (page is not None) << 3
        out = bytes((flags,)) + unsigned(limits.minimum)
        if limits.maximum is not None:
            out += unsigned(limits.maximum)
        return out if page is None else out + unsigned(page)

    def table(self, t: RefType, limits: Limits) -> bytes:
        """A table type."""
        return self.reftype(t) + self.limits(limits)

    def globaltype(self, t: ValType, mutable: bool) -> bytes:
        """A global type."""
        return self.valtype(t) + bytes((mutable,))

    def tag(self, t: TypeDef) -> bytes:
        """A tag type."""
        return b"\0" + unsigned(self.index_of(t))

    def rec_group(self, group: RecGroup) -> bytes:
        """One entry of a type section."""
        types = [self._typedef(t) for t in group.types]
        return b"\x4e" + vector(types) if group.explicit or len(types) != 1 else types[0]

    def _typedef(self, t: TypeDef) -> bytes:
        head = b""
        if not t.final or t.supers:
            head = bytes((0x4F if t.final else 0x50,)) + vector([unsigned(self.index_of(s)) for s in t.supers])
        match t.shape:
            case FuncType(params, results):
                return (
                    head
                    + b"\x60"
                    + vector([self.valtype(p) for p in params])
                    + vector([self.valtype(r) for r in results])
                )
            case StructType(fields):
                return head + b"\x5f" + vector([self.field(f) for f in fields])
            case ArrayType(element):
                return head + b"\x5e" + self.field(element)
            case ContType(function):
                return head + b"\x5d" + signed(self.index_of(function))
