"""Programs as text, in one canonical form: what it wrote parses to the same program and prints to the same text.

Types, imports and items come in the order of the binary; exports stand for themselves; every type use names its type.
Names are made unique where they are not, numbers are used where there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.instructions import Instruction
from meld.ir.module import (
    KEYWORD_OF,
    SPACE_OF,
    CoreItem,
    CustomSection,
    DataSegment,
    ElementSegment,
    Export,
    Function,
    Global,
    Memory,
    Module,
    Table,
    Tag,
)
from meld.ir.notes import Facts
from meld.ir.types import FuncType, TypeDef
from meld.support.records import record
from meld.text.literals import quoted, quoted_bytes
from meld.text.printing.body import BodyPrinter
from meld.text.printing.names import Names, declaration, declarations

MAX_VARIABLES = 4_000_000
"""Parameters and locals of functions that a text declares: a binary counts them in a few bytes, a text lists them."""


@record(eq=False)
class Budget:
    """What may still be written out in a text."""

    variables: int = MAX_VARIABLES

    def take(self, variables: int) -> None:
        """Raises MeldError if so many are too many."""
        self.variables -= variables
        if self.variables < 0:
            raise MeldError(
                f"the text would declare more than {MAX_VARIABLES} parameters and locals",
                hint="a binary counts them: use --emit=wasm",
            )


def module_lines(module: Module, head: str | None = None, depth: int = 0, *, budget: Budget | None = None) -> list[str]:
    """The lines of a module.

    Args:
        head: what stands in place of ``(module $name``, where the module is part of a component.
        depth: levels of indentation of the first line.
        budget: of the text that the lines are part of.

    Raises:
        MeldError: the text would be far larger than a binary.
    """
    return list(ModulePrinter(module, depth, budget=budget).lines(head))


class ModulePrinter:
    """Prints the fields of a module, all or one by one."""

    def __init__(self, module: Module, depth: int, names: Names | None = None, *, budget: Budget | None = None) -> None:
        self.module = module
        self.budget = budget or Budget()
        self.names = names or Names(module)
        self.bodies = BodyPrinter(self.names)
        self.depth = depth

    def lines(self, head: str | None) -> Iterator[str]:
        """All lines of the module."""
        module, outer = self.module, "  " * self.depth
        name = "" if module.name is None else f" {declaration(module.name or '#empty', module.name)}"
        yield outer + (head if head is not None else f"(module{name}")
        indent = outer + "  "
        for line in self.fields():
            yield indent + line if line[0] != " " else line
        yield outer + ")"

    def fields(self) -> Iterator[str]:
        """The fields, without indentation; lines that have theirs begin with a space."""
        module = self.module
        if module.facts:
            yield self.names.note(Facts(names=tuple(module.facts)))
        yield from (self.names.note(note) for note in module.notes)
        yield from self.types()
        yield from (self.import_(item) for item in module.imports)
        defined: tuple[list[Any], ...] = (module.tables, module.memories, module.tags, module.globals)
        yield from (line for items in defined for item in items for line in self.item(item))
        yield from (self.export(export) for export in module.exports)
        if module.start is not None:
            yield f"(start {self.names.ref('functions', module.start)})"
        yield from (self.element(segment) for segment in module.elements)
        for function in module.functions:
            yield from self.function(function)
        yield from (self.datum(segment) for segment in module.datas)
        for custom in module.customs:
            yield self.custom(custom)

    def item(self, item: CoreItem | ElementSegment | DataSegment) -> Iterator[str]:
        """An item that is defined; all but functions are one line."""
        match item:
            case Function():
                yield from self.function(item)
            case Table():
                yield self.table(item)
            case Memory():
                yield f"(memory{self.head(item)} {self.names.limits(item.limits)})"
            case Tag():
                yield f"(tag{self.head(item)}{self.signature(item.type, declarations(item.param_names))})"
            case Global():
                yield f"(global{self.head(item)} {self.global_(item)})"
            case ElementSegment():
                yield self.element(item)
            case DataSegment():
                yield self.datum(item)

    def custom(self, custom: CustomSection) -> str:
        """A custom section."""
        place = "before code" if custom.place == "after datacount" else custom.place  # text has no name for it
        return f"(@custom {quoted(custom.name)} ({place}) {self.payload(custom.data)})"

    def export(self, export: Export) -> str:
        """An export."""
        keyword, space = KEYWORD_OF[type(export.item)], SPACE_OF[type(export.item)]
        return f"(export {quoted(export.name)} ({keyword} {self.names.ref(space, export.item)}))"

    def types(self) -> Iterator[str]:
        """The type definitions."""
        indent = "  " * (self.depth + 2)
        for group in self.module.types:
            if not group.explicit:
                yield from (self.names.definition(typedef) for typedef in group.types)
                continue
            yield "(rec"
            yield from (indent + self.names.definition(typedef) for typedef in group.types)
            yield ")"

    def head(self, item: CoreItem | ElementSegment | DataSegment) -> str:
        """The name and the notes of an item."""
        match item:
            case ElementSegment():
                space = "elements"
            case DataSegment():
                space = "datas"
            case _:
                space = SPACE_OF[type(item)]
        return self.names.declared(space, item) + self.names.notes_of(item)

    def import_(self, item: CoreItem) -> str:
        """An import."""
        match item:
            case Function():
                rest = self.signature(item.type, declarations(item.local_names))
            case Table():
                rest = f" {self.names.limits(item.limits)} {self.names.type(item.type)}"
            case Memory():
                rest = f" {self.names.limits(item.limits)}"
            case Global():
                rest = f" {self.names.globaltype(item.type, item.mutable)}"
            case Tag():
                rest = self.signature(item.type, declarations(item.param_names))
        assert item.imported is not None
        module, field = quoted(item.imported.module), quoted(item.imported.field)
        return f"(import {module} {field} ({KEYWORD_OF[type(item)]}{self.head(item)}{rest}))"

    def typeuse(self, typedef: TypeDef) -> str:
        """A type use, written out."""
        shape = typedef.shape
        if not isinstance(shape, FuncType):
            raise MeldError(f"the type `{typedef.name}` is used as a function type and is none")
        written = self.names.types("param", shape.params) + self.names.types("result", shape.results)
        return self.typename(typedef) + written

    def typename(self, typedef: TypeDef) -> str:
        """The name in a type use."""
        return f" (type {self.names.ref('types', typedef)})"

    def signature(self, typedef: TypeDef, names: dict[int, tuple[str, str]]) -> str:
        """The type use of a function or a tag, with the names of its parameters."""
        shape = typedef.shape
        if not names or not isinstance(shape, FuncType):
            return self.typeuse(typedef)
        params = self.names.variables("param", shape.params, names)
        return self.typename(typedef) + params + self.names.types("result", shape.results)

    def function(self, function: Function) -> Iterator[str]:
        """A function, over several lines."""
        code = function.decoded()
        self.budget.take(len(code.locals) + len(function.signature.params))
        names = declarations(function.local_names) if function.local_names else {}
        yield f"(func{self.head(function)}{self.signature(function.type, names)}"
        indent = "  " * (self.depth + 2)
        if code.locals:
            yield indent + self.names.variables("local", tuple(code.locals), names, len(function.signature.params))[1:]
        self.bodies.locals = names
        try:
            yield from self.bodies.lines(code.instructions, self.depth + 2)
        except MeldError as e:
            if e.where is None:
                e.within(f"function `{function.name}`" if function.name else "a function without a name")
            raise
        yield ")"

    def table(self, table: Table) -> str:
        """A table that is defined."""
        init = "" if table.init is None else f" {self.folded(table.init)}"
        return f"(table{self.head(table)} {self.names.limits(table.limits)} {self.names.type(table.type)}{init})"

    def global_(self, item: Global) -> str:
        """The type and the value of a global."""
        init = self.bodies.line(item.init or ())
        return (
            f"{self.names.globaltype(item.type, item.mutable)} {init}"
            if init
            else self.names.globaltype(item.type, item.mutable)
        )

    def folded(self, expression: list[Instruction], word: str = "") -> str:
        """A constant expression: one instruction in parentheses, or several behind a word."""
        shown = self.bodies.line(expression)
        if len(expression) == 1:
            return f"({shown})"
        return f"({word} {shown})" if word and shown else f"({word})" if word else shown

    def element(self, segment: ElementSegment) -> str:
        """An element segment."""
        out = f"(elem{self.head(segment)}"
        if segment.declarative:
            out += " declare"
        elif segment.table is not None:
            if segment.explicit_table or segment.table is not self.bodies.first["tables"]:
                out += f" (table {self.names.ref('tables', segment.table)})"
            out += f" {self.folded(segment.offset or [], 'offset')}"
        if segment.functions is not None:
            shown = [self.names.ref("functions", function) for function in segment.functions]
            return " ".join([out, "func", *shown]) + ")"
        entries = [self.folded(entry, "item") for entry in segment.expressions or ()]
        return " ".join([out, self.names.type(segment.type), *entries]) + ")"

    def datum(self, segment: DataSegment) -> str:
        """A data segment."""
        out = f"(data{self.head(segment)}"
        if segment.memory is not None:
            if segment.explicit_memory or segment.memory is not self.bodies.first["memories"]:
                out += f" (memory {self.names.ref('memories', segment.memory)})"
            out += f" {self.folded(segment.offset or [], 'offset')}"
        return f"{out} {self.payload(segment.data)})"

    def payload(self, data: bytes | memoryview) -> str:
        """The bytes of a data segment or a custom section."""
        return quoted_bytes(data)
