"""Components in the binary format (Component Model, Binary.md): the only place where their indices are given out."""

from __future__ import annotations

from meld.binary.component.codes import MAX_NESTING, PREAMBLE, SORT_CODES, Section
from meld.binary.component.codes import Option as CanonOption
from meld.binary.component.names import SECTION_NAME, write_names
from meld.binary.component.spaces import Spaces, describe
from meld.binary.component.type_writer import TypeWriter, extern_name, too_deep
from meld.binary.leb import name, section, unsigned, vector
from meld.binary.limits import check_counts
from meld.binary.writer import write_module
from meld.diagnostics import MeldError
from meld.ir.builtins import BUILTINS, ENCODINGS, Operand
from meld.ir.component import (
    CanonBuiltin,
    CanonLift,
    CanonLower,
    CanonOptions,
    Component,
    ComponentInstance,
    CoreExportAlias,
    CoreInlineInstance,
    CoreInstance,
    CoreModule,
    CoreType,
    Custom,
    Definition,
    Export,
    ExportAlias,
    Import,
    InlineInstance,
    NestedComponent,
    OuterAlias,
    Sort,
    StartDefinition,
    TypeDefinition,
)

SINGLE = frozenset((Section.CUSTOM, Section.CORE_MODULE, Section.COMPONENT, Section.START))
"""Sections that hold one thing; the others hold a vector."""

OPTION_ORDER = ("encoding", "memory", "realloc", "post_return", "is_async", "callback", "core_type", "gc")


def write_component(component: Component) -> bytes:
    """The binary of a component, the same bytes each time.

    Raises:
        MeldError: a definition refers to something that is not defined before it, or cannot be written; it is named.
    """
    return b"".join(_Writer(component).parts())


class _Writer:
    def __init__(self, component: Component, parent: Spaces | None = None) -> None:
        self.component = component
        self.spaces = Spaces(parent)
        self.types = TypeWriter(self.spaces)
        self.index = self.types.index

    def parts(self) -> list[bytes]:
        """The component in pieces. Definitions that follow each other in one kind of section share one."""
        out: list[bytes] = [PREAMBLE]
        current: Section | None = None
        entries: list[bytes] = []
        for item in self.component.definitions:
            if isinstance(item, Custom) and item.section.name == SECTION_NAME:
                continue  # part of the one that is written at the end
            try:
                kind, entry = self.definition(item)
            except MeldError as e:
                if e.where is None and e.span is None:
                    e.where = self.place(item)
                raise
            if kind is not current or kind in SINGLE:
                out += _section(current, entries)
                current, entries = kind, []
            if entry is not None:
                entries.append(entry)
        out += _section(current, entries)
        self.types.settled()
        out.append(write_names(self.component, self.spaces))
        return out

    def place(self, item: Definition) -> str:
        """Where a definition stands, for messages."""
        component = self.component
        own = f"component ${component.name}" if component.name else component.where or "a component without a name"
        return f"{own}, {describe(item)}"

    def definition(self, item: Definition) -> tuple[Section, bytes | None]:
        """The section and the entry of a definition, which gets its index. No entry: it came with an earlier one."""
        if isinstance(item, CoreType):
            return Section.CORE_TYPE, self.types.core_type(item) or None
        self.types.settled()
        found = self.encode(item)
        self.spaces.define(item)
        return found

    def encode(self, item: Definition) -> tuple[Section, bytes]:
        """The section and the entry of a definition other than a core type."""
        match item:
            case Custom(section=custom):
                return Section.CUSTOM, name(custom.name) + bytes(custom.data)
            case CoreModule():
                check_counts(item.module)
                return Section.CORE_MODULE, write_module(item.module)
            case CoreInstance():
                args = [name(n) + self.core_item(i) for n, i in item.args]
                return Section.CORE_INSTANCE, b"\0" + self.index(item.module, Sort.CORE_MODULE) + vector(args)
            case CoreInlineInstance():
                return Section.CORE_INSTANCE, b"\x01" + vector([name(n) + self.core_item(i) for n, i in item.exports])
            case NestedComponent():
                if self.spaces.depth + 1 >= MAX_NESTING:
                    raise too_deep()
                return Section.COMPONENT, b"".join(_Writer(item.component, self.spaces).parts())
            case ComponentInstance():
                args = [name(n) + self.types.item(i) for n, i in item.args]
                return Section.INSTANCE, b"\0" + self.index(item.component, Sort.COMPONENT) + vector(args)
            case InlineInstance():
                exports = [extern_name(n) + self.types.item(i) for n, i in item.exports]
                return Section.INSTANCE, b"\x01" + vector(exports)
            case ExportAlias() | CoreExportAlias() | OuterAlias():
                return Section.ALIAS, self.types.alias(item)
            case TypeDefinition():
                return Section.TYPE, self.types.type(item.type)
            case CanonLift():
                lifted = self.index(item.function, Sort.CORE_FUNC) + self.options(item.options)
                return Section.CANON, b"\0\0" + lifted + self.index(item.type, Sort.TYPE)
            case CanonLower():
                lowered = self.index(item.function, Sort.FUNC) + self.options(item.options)
                return Section.CANON, b"\x01\0" + lowered
            case CanonBuiltin():
                return Section.CANON, self.builtin(item)
            case StartDefinition():
                args = [self.index(value, Sort.VALUE) for value in item.args]
                function = self.index(item.function, Sort.FUNC)
                return Section.START, function + vector(args) + unsigned(len(item.results))
            case Import():
                return Section.IMPORT, extern_name(item.extern) + self.types.externtype(item.type)
            case Export():
                declared = b"\0" if item.type is None else b"\x01" + self.types.externtype(item.type)
                return Section.EXPORT, extern_name(item.extern) + self.types.item(item.target) + declared
            case _:
                raise MeldError(f"{type(item).__name__} is not a definition that can be written")

    def core_item(self, item: Definition) -> bytes:
        """Core sort and index of a definition."""
        code = SORT_CODES[item.sort] if item.sort else b""
        if len(code) != 2:
            raise MeldError(f"the {describe(item)} stands where something of a core sort is due")
        return code[1:] + unsigned(self.spaces.index(item))

    def builtin(self, item: CanonBuiltin) -> bytes:
        """A built-in with its operands."""
        builtin = BUILTINS.get(item.builtin)
        if builtin is None:
            raise MeldError(f"unknown canonical built-in `{item.builtin}`")
        if item.cancellable:
            raise MeldError(
                f"`{item.builtin}` is marked as cancellable", hint="`cancellable` is not part of the format any more"
            )
        out = bytes((builtin.code,))
        for operand in builtin.operands:
            match operand:
                case Operand.TYPE:
                    out += self.index(item.type, Sort.TYPE)
                case Operand.CORE_TYPE:
                    out += self.index(item.type, Sort.CORE_TYPE)
                case Operand.TABLE:
                    out += self.index(item.table, Sort.CORE_TABLE)
                case Operand.MEMORY:
                    out += self.index(item.options.memory, Sort.CORE_MEMORY)
                case Operand.OPTIONS:
                    out += self.options(item.options)
                case Operand.ASYNC:
                    out += bytes((item.options.is_async,))
                case Operand.RESULT:
                    out += self.types.result(item.result)
                case Operand.SLOT:
                    if item.slot is None:
                        raise MeldError(f"`{item.builtin}` without a slot")
                    out += self.types.core.valtype(item.slot[0]) + unsigned(item.slot[1])
                case Operand.ZERO:
                    out += b"\0"
        return out

    def options(self, options: CanonOptions) -> bytes:
        """A vector of options: in the order of the source, as far as that is known."""
        given = dict.fromkeys((*(key for key in options.order if key in OPTION_ORDER), *OPTION_ORDER))
        return vector([encoded for key in given if (encoded := self.option(options, key))])

    def option(self, options: CanonOptions, key: str) -> bytes:
        """One option; empty if it is not given."""
        value = getattr(options, key)
        if value is None or value is False:
            return b""
        match key:
            case "encoding":
                if value not in ENCODINGS:
                    raise MeldError(f"unknown string encoding `{value}`")
                return bytes((ENCODINGS[value],))
            case "memory":
                of = Sort.CORE_MEMORY
            case "realloc" | "post_return" | "callback":
                of = Sort.CORE_FUNC
            case "core_type":
                of = Sort.CORE_TYPE
            case "is_async":
                return bytes((CanonOption.ASYNC.value,))
            case "gc":
                return bytes((CanonOption.GC.value,))
            case _:
                raise MeldError(f"unknown option `{key}` of a canonical definition")
        return bytes((CanonOption[key.upper()].value,)) + self.index(value, of)


def _section(kind: Section | None, entries: list[bytes]) -> list[bytes]:
    """A section of some entries; nothing if there are none."""
    if kind is None or not entries:
        return []
    return [section(kind.value, entries[0] if kind in SINGLE else vector(entries))]
