"""Component types in the binary format, written (Component Model, Binary.md, type definitions)."""

from __future__ import annotations

from collections.abc import Sequence

from meld.binary.component.codes import CORE_KINDS, MAX_NESTING, PRIM_CODES, SORT_CODES
from meld.binary.component.spaces import Spaces, describe
from meld.binary.coretypes import CoreTypeWriter
from meld.binary.leb import name, signed, unsigned, vector
from meld.diagnostics import MeldError
from meld.ir.component import (
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
    ExternName,
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
from meld.ir.types import Limits, RecGroup, RefType, TypeDef


def extern_name(extern: ExternName) -> bytes:
    """The name of an import or export, in the short form if it has no attributes."""
    given = (extern.implements, extern.version_suffix, extern.external_id)
    attributes = [bytes((code,)) + name(value) for code, value in enumerate(given) if value is not None]
    return b"\x02" + name(extern.name) + vector(attributes) if attributes else b"\0" + name(extern.name)


def too_deep() -> MeldError:
    """The error of components or types that nest too deep."""
    return MeldError(f"components and types nest more than {MAX_NESTING} deep")


class TypeWriter:
    """Writes types that stand in, or refer to, index spaces."""

    def __init__(self, spaces: Spaces) -> None:
        self.spaces = spaces
        self.core = CoreTypeWriter(spaces.type_index)
        self._rest: list[TypeDef] = []  # of a recursion group that has been written, last first

    def index(self, item: Definition | None, of: Sort) -> bytes:
        """The index of a definition in its space, encoded. Raises MeldError if it is missing or of another sort."""
        if item is None:
            raise MeldError(f"something of sort {of.value} is missing")
        if item.sort is not of:
            raise MeldError(f"the {describe(item)} stands where something of sort {of.value} is due")
        return unsigned(self.spaces.index(item))

    def item(self, item: Definition) -> bytes:
        """Sort and index of a definition."""
        if item.sort is None:
            raise MeldError(f"the {describe(item)} stands where something with an index is due")
        return SORT_CODES[item.sort] + unsigned(self.spaces.index(item))

    def valtype(self, t: CompValType) -> bytes:
        """A value type in place."""
        if isinstance(t, Prim):
            return bytes((PRIM_CODES[t],))
        if t.sort is not Sort.TYPE:
            raise MeldError(f"the {describe(t)} stands where a type is due")
        return signed(self.spaces.index(t))

    def maybe(self, t: CompValType | None) -> bytes:
        """An optional value type."""
        return b"\0" if t is None else b"\x01" + self.valtype(t)

    def labelled(self, items: Sequence[tuple[str, CompValType]]) -> bytes:
        """A vector of labels with types."""
        return vector([name(label) + self.valtype(t) for label, t in items])

    def result(self, t: CompValType | None) -> bytes:
        """The result of a function."""
        return b"\x01\0" if t is None else b"\0" + self.valtype(t)

    def type(self, t: object) -> bytes:
        """One entry of a type section."""
        match t:
            case Prim():
                return bytes((PRIM_CODES[t],))
            case Record(fields):
                return b"\x72" + self.labelled(fields)
            case Variant(cases):
                return b"\x71" + vector([name(label) + self.maybe(case) + b"\0" for label, case in cases])
            case ListType(element, None):
                return b"\x70" + self.valtype(element)
            case ListType(element, int(length)):
                return b"\x67" + self.valtype(element) + unsigned(length)
            case MapType(key, value):
                return b"\x63" + self.valtype(key) + self.valtype(value)
            case Tuple(elements):
                return b"\x6f" + vector([self.valtype(e) for e in elements])
            case Flags(names):
                return b"\x6e" + vector([name(n) for n in names])
            case EnumType(names):
                return b"\x6d" + vector([name(n) for n in names])
            case Option(element):
                return b"\x6b" + self.valtype(element)
            case Result(ok, error):
                return b"\x6a" + self.maybe(ok) + self.maybe(error)
            case Own(resource):
                return b"\x69" + self.index(resource, Sort.TYPE)
            case Borrow(resource):
                return b"\x68" + self.index(resource, Sort.TYPE)
            case Stream(maybe):
                return b"\x66" + self.maybe(maybe)
            case Future(maybe):
                return b"\x65" + self.maybe(maybe)
            case CompFuncType(params, result, is_async):
                return (b"\x43" if is_async else b"\x40") + self.labelled(params) + self.result(result)
            case ComponentType(decls):
                return b"\x41" + self.decls(decls)
            case InstanceType(decls):
                return b"\x42" + self.decls(decls)
            case ResourceType():
                return self.resource(t)
            case _:
                raise MeldError(f"{type(t).__name__} is not a type that can be written")

    def resource(self, t: ResourceType) -> bytes:
        """A resource type."""
        if t.dtor_async or t.dtor_callback is not None:
            raise MeldError(
                "a resource with an asynchronous destructor cannot be written",
                hint="they are not part of the format any more",
            )
        dtor = b"\0" if t.dtor is None else b"\x01" + self.index(t.dtor, Sort.CORE_FUNC)
        return b"\x3f" + self.core.valtype(t.rep) + dtor

    def decls(self, decls: Sequence[Definition]) -> bytes:
        """The declarations of a component or instance type."""
        if self.spaces.depth + 1 >= MAX_NESTING:
            raise too_deep()
        inner = TypeWriter(Spaces(self.spaces))
        out: list[bytes] = []
        for decl in decls:
            if isinstance(decl, CoreType):
                encoded = inner.core_type(decl)
                out += [b"\0" + encoded] if encoded else []
                continue
            inner.settled()
            match decl:
                case TypeDefinition():
                    out.append(b"\x01" + inner.type(decl.type))
                case ExportAlias() | CoreExportAlias() | OuterAlias():
                    out.append(b"\x02" + inner.alias(decl))
                case Import():
                    out.append(b"\x03" + extern_name(decl.extern) + inner.externtype(decl.type))
                case ExportDecl():
                    out.append(b"\x04" + extern_name(decl.extern) + inner.externtype(decl.type))
                case _:
                    raise MeldError(f"the {describe(decl)} cannot be declared in a type")
            inner.spaces.define(decl)
        inner.settled()
        return vector(out)

    def externtype(self, t: ExternType) -> bytes:
        """What an import or export is declared to be."""
        if t.eq_value is not None:
            raise MeldError("a value that equals another cannot be written", hint="give its type instead")
        code = SORT_CODES.get(t.sort, b"")
        match t.sort, t.type:
            case Sort.VALUE, Prim() | Definition() as value:
                return code + self.valtype(value)
            case Sort.TYPE, None:
                return code + b"\x01"
            case Sort.TYPE, Definition() as bound:
                return code + b"\0" + self.index(bound, Sort.TYPE)
            case Sort.CORE_MODULE, Definition() as module:
                return code + self.index(module, Sort.CORE_TYPE)
            case ((Sort.FUNC | Sort.COMPONENT | Sort.INSTANCE), Definition() as declared):
                return code + self.index(declared, Sort.TYPE)
            case _:
                raise MeldError(f"an import or export of sort {t.sort.value} has no proper type")

    def alias(self, item: ExportAlias | CoreExportAlias | OuterAlias) -> bytes:
        """An alias."""
        code = SORT_CODES[item.of]
        match item:
            case ExportAlias():
                return code + b"\0" + self.index(item.instance, Sort.INSTANCE) + name(item.export)
            case CoreExportAlias():
                return code + b"\x01" + self.index(item.instance, Sort.CORE_INSTANCE) + name(item.export)
            case OuterAlias():
                return code + b"\x02" + self.outer(item)

    def outer(self, item: OuterAlias, inside: int = 0) -> bytes:
        """Depth and index of an outer alias, in a type that is `inside` levels within these spaces.

        The depth is found anew: what was nested since may have moved.
        """
        if item.target.sort is not item.of:
            raise MeldError(f"an alias of sort {item.of.value} refers to the {describe(item.target)}")
        for depth, spaces in enumerate(self.spaces.enclosing(), inside):
            if spaces.holds(item.target):
                return unsigned(depth) + unsigned(spaces.index(item.target))
        raise MeldError(
            f"an outer alias refers to the {describe(item.target)}, which no enclosing component has up to here"
        )

    def core_type(self, item: CoreType) -> bytes:
        """One entry of a core type section, with its definitions given their indices.

        A recursion group is written with the first of its types: nothing is left for the others, which have to follow.
        """
        if self._rest and self._rest[-1] is item.type:
            self._rest.pop()
            self.spaces.define(item)
            return b""
        self.settled()
        self.spaces.define(item)
        if isinstance(item.type, ModuleType):
            return self.module_type(item.type)
        group = item.group or RecGroup([item.type])
        if item.type is not group.types[0]:
            raise MeldError(f"the {describe(item)} stands before the first type of its recursion group")
        self._rest = group.types[:0:-1]
        start = len(self.spaces.core_types) - 1
        ahead = {typedef: start + i for i, typedef in enumerate(group.types)}
        known = self.spaces
        writer = CoreTypeWriter(lambda t: ahead[t] if t in ahead else known.type_index(t))
        encoded = writer.rec_group(group)
        return b"\0" + encoded if encoded[0] == 0x50 else encoded  # 0x50 alone would be a module type

    def settled(self) -> None:
        """MeldError if a recursion group has been written, and not all of its types have followed."""
        if self._rest:
            name = f"`{self._rest[-1].name}`" if self._rest[-1].name else "(unnamed)"
            raise MeldError(f"the core type {name} does not follow the others of its recursion group")

    def module_type(self, t: ModuleType) -> bytes:
        """The declarations of a module type. Its type index space starts empty."""
        indices: dict[TypeDef, int] = {}
        count = 0

        def index_of(typedef: TypeDef) -> int:
            if typedef not in indices:
                raise MeldError(f"the module type refers to the core type `{typedef.name}`, which it does not have")
            return indices[typedef]

        writer = CoreTypeWriter(index_of)
        out: list[bytes] = []
        for decl in t.decls:
            match decl:
                case RecGroup():
                    for typedef in decl.types:
                        indices.setdefault(typedef, count)
                        count += 1
                    out.append(b"\x01" + writer.rec_group(decl))
                case OuterAlias():
                    out.append(b"\x02" + SORT_CODES[Sort.CORE_TYPE][1:] + b"\x01" + self.outer(decl, inside=1))
                    indices.setdefault(self.spaces.meaning(decl), count)
                    count += 1
                case (str(module), str(field), CoreExternType() as extern):
                    out.append(b"\0" + name(module) + name(field) + core_extern(extern, writer))
                case (str(label), CoreExternType() as extern):
                    out.append(b"\x03" + name(label) + core_extern(extern, writer))
                case _:
                    raise MeldError(f"{type(decl).__name__} is not a declaration of a module type")
        return b"\x50" + vector(out)


def core_extern(t: CoreExternType, writer: CoreTypeWriter) -> bytes:
    """The type of a core import or export."""
    match t.kind, t.type:
        case "func", TypeDef() as typedef:
            encoded = unsigned(writer.index_of(typedef))
        case "table", RefType() as reftype if t.limits is not None:
            encoded = writer.table(reftype, t.limits)
        case "memory", Limits() as limits:
            encoded = writer.limits(limits)
        case "global", valtype if not isinstance(valtype, TypeDef | Limits):
            encoded = writer.globaltype(valtype, t.mutable)
        case "tag", TypeDef() as typedef:
            encoded = writer.tag(typedef)
        case _:
            raise MeldError(f"a core {t.kind} of {type(t.type).__name__} cannot be imported or exported")
    return bytes((CORE_KINDS[t.kind],)) + encoded
