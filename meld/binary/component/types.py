"""Component types in the binary format, read (Component Model, Binary.md, type definitions)."""

from __future__ import annotations

from meld.binary.component.codes import (
    CORE_ITEM_SORTS,
    CORE_KIND_BY_CODE,
    MAX_NESTING,
    OUTER_SORTS,
    PRIM_BY_CODE,
)
from meld.binary.component.pieces import (
    core_sort,
    extern_name,
    lookup,
    optional,
    reference,
    sort,
    too_deep,
    typed_reference,
    zero,
)
from meld.binary.component.spaces import NOT_A_CORE_TYPE, ScopedTypes, Spaces
from meld.binary.cursor import Cursor
from meld.ir.component import (
    EXTERN_SORTS,
    Borrow,
    CompFuncType,
    ComponentType,
    CompValType,
    CoreExportAlias,
    CoreExternType,
    CoreType,
    Definition,
    EnumType,
    ExportAlias,
    ExportDecl,
    ExternType,
    Flags,
    Future,
    Import,
    InstanceType,
    ListType,
    MapType,
    ModuleType,
    Option,
    OuterAlias,
    Own,
    Prim,
    Record,
    ResourceType,
    Result,
    Sort,
    Stream,
    Tuple,
    TypeDefinition,
    Variant,
)
from meld.ir.types import TypeDef

VALUE_TYPES = (
    *(Prim, Record, Variant, ListType, MapType, Tuple, Flags, EnumType, Option, Result, Own, Borrow, Stream, Future),
)


class TypeReader:
    """Reads types that stand in, or refer to, index spaces."""

    def __init__(self, spaces: Spaces) -> None:
        self.spaces = spaces
        self.core = ScopedTypes(spaces.core_types)

    def valtype(self, c: Cursor) -> CompValType:
        """A value type in place: a primitive, or a type index."""
        byte = c.peek()
        if byte in PRIM_BY_CODE:
            c.pos += 1
            return PRIM_BY_CODE[byte]
        at = c.pos
        index = c.s33("value type")
        if index < 0:
            raise c.error(f"unknown value type {byte:#04x}", at)
        c.pos = at
        return typed_reference(c, self.spaces, VALUE_TYPES, "a value type")

    def maybe(self, c: Cursor, what: str) -> CompValType | None:
        """An optional value type."""
        return optional(c, what, lambda: self.valtype(c))

    def labelled(self, c: Cursor, what: str) -> tuple[tuple[str, CompValType], ...]:
        """A vector of labels with types."""
        return tuple((c.name(f"label in {what}"), self.valtype(c)) for _ in range(c.count(what)))

    def labels(self, c: Cursor, what: str) -> tuple[str, ...]:
        """A vector of labels."""
        return tuple(c.name(f"label in {what}") for _ in range(c.count(what)))

    def case(self, c: Cursor) -> tuple[str, CompValType | None]:
        """A case of a variant."""
        found = c.name("name of a case"), self.maybe(c, "type of a case")
        zero(c, "end of a case", hint="`refines` is not part of the format any more")
        return found

    def result(self, c: Cursor) -> CompValType | None:
        """The result of a function: one type, or none."""
        at = c.pos
        match c.u8("result"):
            case 0x00:
                return self.valtype(c)
            case 0x01:
                zero(c, "count of results", hint="named results are not part of the format any more")
                return None
            case other:
                raise c.error(f"malformed result {other:#04x}", at)

    def resource(self, c: Cursor) -> Definition:
        """The index of a resource type."""
        return typed_reference(c, self.spaces, (ResourceType,), "a resource type")

    def type(self, c: Cursor) -> TypeDefinition:
        """One entry of a type section."""
        if c.peek() in PRIM_BY_CODE:
            return TypeDefinition(PRIM_BY_CODE[c.u8("type")])
        at = c.pos
        code = c.u8("type")
        match code:
            case 0x72:
                return TypeDefinition(Record(self.labelled(c, "fields of a record")))
            case 0x71:
                return TypeDefinition(Variant(tuple(self.case(c) for _ in range(c.count("cases of a variant")))))
            case 0x70:
                return TypeDefinition(ListType(self.valtype(c)))
            case 0x67:
                return TypeDefinition(ListType(self.valtype(c), c.u32("length of a list type")))
            case 0x63:
                return TypeDefinition(MapType(self.valtype(c), self.valtype(c)))
            case 0x6F:
                return TypeDefinition(Tuple(tuple(self.valtype(c) for _ in range(c.count("elements of a tuple")))))
            case 0x6E:
                return TypeDefinition(Flags(self.labels(c, "flags")))
            case 0x6D:
                return TypeDefinition(EnumType(self.labels(c, "cases of an enum")))
            case 0x6B:
                return TypeDefinition(Option(self.valtype(c)))
            case 0x6A:
                return TypeDefinition(Result(self.maybe(c, "type of a result"), self.maybe(c, "error of a result")))
            case 0x69:
                return TypeDefinition(Own(self.resource(c)))
            case 0x68:
                return TypeDefinition(Borrow(self.resource(c)))
            case 0x66:
                return TypeDefinition(Stream(self.maybe(c, "element of a stream")))
            case 0x65:
                return TypeDefinition(Future(self.maybe(c, "element of a future")))
            case 0x40 | 0x43:
                return TypeDefinition(CompFuncType(self.labelled(c, "parameters"), self.result(c), code == 0x43))
            case 0x41:
                return TypeDefinition(ComponentType(self.decls(c, "a component", at)))
            case 0x42:
                return TypeDefinition(InstanceType(self.decls(c, "an instance", at)))
            case 0x3F:
                rep = self.core.valtype(c)
                dtor = optional(c, "destructor", lambda: reference(c, self.spaces, Sort.CORE_FUNC))
                return TypeDefinition(ResourceType(rep, dtor))
            case _:
                raise c.error(f"unknown type {code:#04x}", at)

    def nested(self, c: Cursor, at: int) -> Spaces:
        """Spaces for a type inside these."""
        if self.spaces.depth + 1 >= MAX_NESTING:
            raise too_deep(c, at)
        return Spaces(self.spaces)

    def decls(self, c: Cursor, what: str, at: int) -> list[Definition]:
        """The declarations of a component or instance type."""
        inner = TypeReader(self.nested(c, at))
        found: list[Definition] = []
        for _ in range(c.count(f"declarations of {what} type")):
            at = c.pos
            match c.u8("declaration"):
                case 0x00:
                    found += inner.core_type(c)
                case 0x01:
                    found.append(inner.define(inner.type(c)))
                case 0x02:
                    found.append(inner.define(inner.alias(c)))
                case 0x03 if what == "a component":
                    found.append(inner.define(Import(extern_name(c), inner.externtype(c))))
                case 0x04:
                    found.append(inner.define(ExportDecl(extern_name(c), inner.externtype(c))))
                case other:
                    raise c.error(f"unknown declaration {other:#04x} in {what} type", at)
        return found

    def define(self, item: Definition) -> Definition:
        """Gives a definition its index; returns it."""
        self.spaces.define(item)
        return item

    def externtype(self, c: Cursor) -> ExternType:
        """What an import or export is declared to be."""
        at = c.pos
        found = sort(c)
        match found:
            case Sort.CORE_MODULE:
                return ExternType(found, self.module_reference(c))
            case Sort.FUNC:
                return ExternType(found, typed_reference(c, self.spaces, (CompFuncType,), "a function type"))
            case Sort.VALUE:
                return ExternType(found, self.valtype(c))
            case Sort.TYPE:
                bound = c.u8("bound of a type")
                if bound > 1:
                    raise c.error(f"unknown bound {bound:#04x} of a type", c.pos - 1)
                return ExternType(found, None if bound else reference(c, self.spaces, Sort.TYPE))
            case Sort.COMPONENT:
                return ExternType(found, typed_reference(c, self.spaces, (ComponentType,), "a component type"))
            case Sort.INSTANCE:
                return ExternType(found, typed_reference(c, self.spaces, (InstanceType,), "an instance type"))
            case _:
                raise c.error(f"a definition of sort {found.value} can be neither imported nor exported", at)

    def module_reference(self, c: Cursor) -> Definition:
        """The index of a module type."""
        at = c.pos
        index = c.u32("core type index")
        item = lookup(c, self.spaces, Sort.CORE_TYPE, index, at)
        if self.spaces.core_types[index] is not NOT_A_CORE_TYPE:
            raise c.error(f"core type {index} is not a module type", at)
        return item

    def alias(self, c: Cursor) -> Definition:
        """An alias."""
        at = c.pos
        of = sort(c)
        target_at = c.pos
        match c.u8("target of an alias"):
            case 0x00 if of in EXTERN_SORTS:
                return ExportAlias(reference(c, self.spaces, Sort.INSTANCE), c.name("name of an export"), of)
            case 0x01 if of in CORE_ITEM_SORTS:
                return CoreExportAlias(reference(c, self.spaces, Sort.CORE_INSTANCE), c.name("name of an export"), of)
            case 0x02 if of in OUTER_SORTS:
                return self.outer(c, of)
            case other if other <= 2:
                raise c.error(f"this kind of alias has no sort {of.value}", at)
            case other:
                raise c.error(f"unknown target {other:#04x} of an alias", target_at)

    def outer(self, c: Cursor, of: Sort, inside: int = 0) -> OuterAlias:
        """Depth and index of an outer alias, in a type that is `inside` levels within these spaces."""
        at = c.pos
        depth = c.u32("depth of an outer alias")
        if not inside <= depth <= self.spaces.depth + inside:
            raise c.error(f"an outer alias of depth {depth}, {self.spaces.depth + inside} levels deep", at)
        spaces = self.spaces
        for _ in range(depth - inside):
            assert spaces.parent is not None
            spaces = spaces.parent
        return OuterAlias(reference(c, spaces, of), depth, of)

    def core_type(self, c: Cursor) -> list[Definition]:
        """One entry of a core type section, defined: the types of a recursion group, or a module type."""
        if c.peek() == 0x50:
            c.pos += 1
            return [self.define(CoreType(self.module_type(c)))]
        if c.peek() == 0x00:  # 0x50 alone would be a module type
            c.pos += 1
            if c.peek() != 0x50:
                raise c.error("malformed core type")
        group = self.core.rec_group(c)
        return [self.define(CoreType(typedef, group)) for typedef in group.types]

    def module_type(self, c: Cursor) -> ModuleType:
        """The declarations of a module type. Its type index space starts empty."""
        types: list[TypeDef] = []
        reader = ScopedTypes(types)
        found = ModuleType()
        for _ in range(c.count("declarations of a module type")):
            at = c.pos
            match c.u8("declaration"):
                case 0x00:
                    names = c.name("module of an import"), c.name("name of an import")
                    found.decls.append((*names, self.core_extern(c, reader)))
                case 0x01:
                    found.decls.append(reader.rec_group(c))
                case 0x02:
                    if core_sort(c) is not Sort.CORE_TYPE or c.u8("target of an alias") != 0x01:
                        raise c.error("an alias in a module type is an outer alias of a core type", at)
                    item = self.outer(c, Sort.CORE_TYPE, inside=1)
                    types.append(self.spaces.meaning(item))
                    found.decls.append(item)
                case 0x03:
                    found.decls.append((c.name("name of an export"), self.core_extern(c, reader)))
                case other:
                    raise c.error(f"unknown declaration {other:#04x} in a module type", at)
        return found

    def core_extern(self, c: Cursor, types: ScopedTypes) -> CoreExternType:
        """The type of a core import or export."""
        at = c.pos
        code = c.u8("kind of a core import or export")
        kind = CORE_KIND_BY_CODE.get(code)
        match kind:
            case "func":
                return CoreExternType(kind, types.functype(c))
            case "table":
                reftype, limits = types.table(c)
                return CoreExternType(kind, reftype, limits)
            case "memory":
                return CoreExternType(kind, types.limits(c, "memory"))
            case "global":
                valtype, mutable = types.globaltype(c)
                return CoreExternType(kind, valtype, mutable=mutable)
            case "tag":
                return CoreExternType(kind, types.tag(c))
            case _:
                raise c.error(f"unknown kind {code:#04x} of a core import or export", at)
