"""The second language: a core module whose references are objects.

Items (functions, tables, memories, globals, tags) refer to each other directly; indices exist only in the encoder and
in the printer. An imported item has `imported` set and stands in `Module.imports`, whose order is that of the import
section; defined items stand in the list of their kind. An index space is the imports of that kind followed by the
definitions.

Source: WebAssembly 3.0, section 2.5 (modules).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from meld.diagnostics import Span
from meld.ir.instructions import Code, IndexSpaces, Instruction, LazyBody, references, substitute
from meld.ir.named import Named
from meld.ir.notes import Instance, Note
from meld.ir.types import FuncType, Limits, RecGroup, RefType, TypeDef, ValType
from meld.support.records import record

N = TypeVar("N", bound=Note)


@record(frozen=True)
class ImportName:
    """The two-level name of an import."""

    module: str
    field: str

    def __str__(self) -> str:
        return f'"{self.module}" "{self.field}"'


@record(eq=False, kw_only=True)
class Item(Named):
    """What all items have. Compared by identity.

    Attributes:
        name: for people; made unique when printed.
        imported: the import's name, or None for a definition.
        owner: the component instance it belongs to, after `merge`.
        origin: its index in its core module, and which core module of the owner.
        synthetic: what kind of thing it is, if the compiler made it: ``stream-bridge``, ``adapter``, ….
    """

    name: str | None = None
    imported: ImportName | None = None
    owner: Instance | None = None
    origin: tuple[int, int] | None = None  # (index in its core module, which core instance of the owner)
    synthetic: str | None = None
    notes: list[Note] = field(default_factory=list)
    span: Span | None = None

    def note(self, kind: type[N]) -> N | None:
        """Its first note of a class; None if it has none."""
        return next((note for note in self.notes if isinstance(note, kind)), None)


VIEWS = 16
"""How many views of the functions over one scope are kept."""

NO_NAMES: Mapping[int, str] = MappingProxyType({})
"""Shared by all functions whose locals and labels have no names."""


@record(eq=False)
class Function(Item):
    """A function. `type` is a definition whose shape is a `FuncType`; `body` is None for an import."""

    type: TypeDef
    body: Code | LazyBody | None = None
    local_names: Mapping[int, str] = field(default_factory=lambda: NO_NAMES)  # parameters, then locals
    label_names: Mapping[int, str] = field(default_factory=lambda: NO_NAMES)  # of a lazy body: by order of the blocks

    @property
    def signature(self) -> FuncType:
        """The shape of its type."""
        assert isinstance(self.type.shape, FuncType)
        return self.type.shape

    @property
    def code(self) -> Code:
        """The decoded body; decodes it on first use. An import has none: AttributeError."""
        if not isinstance(self.body, Code):
            self.body = self.decoded()
            self.label_names = NO_NAMES
        return self.body

    def view(self) -> Code:
        """The decoded body, for reading: the function stays as it is, and what is changed here is lost.

        Views of a few functions are kept, so that asking again costs nothing.
        """
        body = self.body
        if not isinstance(body, LazyBody):
            return self.decoded()
        views = body.scope.views()
        found: tuple[LazyBody, Mapping[int, str], Code] | None = views.get(self)
        if found is not None and found[0] is body and found[1] is self.label_names:
            return found[2]
        code = self.decoded()
        views[self] = body, self.label_names, code
        while len(views) > VIEWS:
            del views[next(iter(views))]
        return code

    def decoded(self) -> Code:
        """The decoded body, made anew unless the function has it already."""
        if self.body is None:
            raise AttributeError(f"function {self.name} is an import and has no body")
        if isinstance(self.body, Code):
            return self.body
        code = self.body.decode()
        if self.label_names:
            blocks = (i for i in code.instructions if i.op in LABELLED)
            for number, instruction in enumerate(blocks):
                instruction.label = self.label_names.get(number, instruction.label)
        return code

    @property
    def instructions(self) -> list[Instruction]:
        """The instructions of the body, flat; may be changed in place. Empty for an import."""
        return [] if self.body is None else self.code.instructions


@record(eq=False)
class Table(Item):
    """A table of references, with an optional initial value for its elements."""

    type: RefType
    limits: Limits
    init: list[Instruction] | None = None


@record(eq=False)
class Memory(Item):
    """A linear memory."""

    limits: Limits


@record(eq=False)
class Global(Item):
    """A global. `init` is a constant expression, None for an import."""

    type: ValType
    mutable: bool = False
    init: list[Instruction] | None = None


@record(eq=False)
class Tag(Item):
    """An exception tag. `type` is a definition whose shape is a `FuncType`."""

    type: TypeDef
    param_names: Mapping[int, str] = field(default_factory=lambda: NO_NAMES)


HELD_BACK = "held-back"
"""The fact that rewrites were held back, so that what should have been lowered may still be pending."""

LABELLED = frozenset({"block", "loop", "if", "try", "try_table"})
"""Instructions that introduce a label."""

CLOSING = frozenset({"end", "delegate"})
"""Instructions that end what one of those began."""

CoreItem: TypeAlias = Function | Table | Memory | Global | Tag

SPACE_OF: dict[type[Any], str] = {
    Function: "functions",
    Table: "tables",
    Memory: "memories",
    Global: "globals",
    Tag: "tags",
}
KEYWORD_OF: dict[type[Any], str] = {Function: "func", Table: "table", Memory: "memory", Global: "global", Tag: "tag"}


@record(eq=False, kw_only=True)
class ElementSegment(Item):
    """An element segment.

    Active if `table` is set, declarative if `declarative`, else passive. The entries are functions (`functions`) or
    constant expressions (`expressions`); the other is None. `explicit_table` keeps the encoding that names table 0.
    """

    type: RefType
    functions: list[Function] | None = None
    expressions: list[list[Instruction]] | None = None
    table: Table | None = None
    offset: list[Instruction] | None = None
    declarative: bool = False
    explicit_table: bool = False

    @property
    def entries(self) -> list[Any]:
        """The functions, or the constant expressions."""
        return self.functions if self.functions is not None else self.expressions or []


@record(eq=False, kw_only=True)
class DataSegment(Item):
    """A data segment: active if `memory` is set, else passive."""

    data: bytes | memoryview
    memory: Memory | None = None
    offset: list[Instruction] | None = None
    explicit_memory: bool = False


@record(eq=False)
class Export:
    """An export of an item under a name."""

    name: str
    item: CoreItem
    span: Span | None = None


@record(eq=False)
class CustomSection:
    """A custom section that is carried as it is. `place`: ``before first``, or ``after`` a section."""

    name: str
    data: bytes | memoryview
    place: str = "after data"


@record(eq=False)
class Module(Named):
    """A core module."""

    name: str | None = None
    types: list[RecGroup] = field(default_factory=list)
    imports: list[CoreItem] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    start: Function | None = None
    elements: list[ElementSegment] = field(default_factory=list)
    datas: list[DataSegment] = field(default_factory=list)
    customs: list[CustomSection] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    scopes: list[IndexSpaces] = field(default_factory=list)  # those of its lazy bodies
    where: str = ""  # where it came from, for messages: a file, or a module inside a component

    def typedefs(self) -> list[TypeDef]:
        """All type definitions in the order of their indices."""
        return [typedef for group in self.types for typedef in group.types]

    def space(self, name: str) -> list[Any]:
        """An index space (``functions``, ``tables``, …, as in `IndexSpaces`): imports first, then definitions."""
        if name == "types":
            return self.typedefs()
        if name in ("elements", "datas"):
            return list(getattr(self, name))
        return [*(item for item in self.imports if SPACE_OF[type(item)] == name), *getattr(self, name)]

    def items(self) -> Iterator[CoreItem]:
        """All items, imports first."""
        yield from self.imports
        for space in SPACE_OF.values():
            yield from getattr(self, space)

    def notes_of(self, kind: type[N]) -> list[N]:
        """The module's own notes of a class, in order."""
        return [note for note in self.notes if isinstance(note, kind)]

    def noted(self, kind: type[N], among: Iterable[CoreItem] | None = None) -> Iterator[tuple[CoreItem, N]]:
        """(item, note) for each note of a class on items; `among`: which ones, the imports if None."""
        for item in self.imports if among is None else among:
            for note in item.notes:
                if isinstance(note, kind):
                    yield item, note

    def add(self, item: CoreItem) -> None:
        """Adds an item at the end of its list."""
        if item.imported:
            self.imports.append(item)
        else:
            getattr(self, SPACE_OF[type(item)]).append(item)

    def func_type(self, params: tuple[ValType, ...] = (), results: tuple[ValType, ...] = ()) -> TypeDef:
        """A definition of a plain function type: one that is there, or a new one."""
        shape = FuncType(params, results)
        for group in self.types:
            if len(group.types) == 1:
                (typedef,) = group.types
                if typedef.shape == shape and typedef.final and not typedef.supers:
                    return typedef
        typedef = TypeDef(shape)
        self.types.append(RecGroup([typedef]))
        return typedef

    def constants(self) -> Iterator[list[Instruction]]:
        """The constant expressions that make references, and so may name functions and types.

        Initial values of globals and tables, and entries of element segments; offsets are computed from numbers.
        """
        holders: list[Global | Table] = [*self.globals, *self.tables]
        yield from (holder.init for holder in holders if holder.init is not None)
        for element in self.elements:
            yield from element.expressions or ()

    def replace_uses(self, new: Mapping[Any, Any], *, unless: Callable[[Item], bool] = lambda item: False) -> None:
        """Replaces items wherever they are used: bodies, segments, constant expressions, exports, start.

        Users for which `unless` holds keep what they have. Definitions stay in the lists of the module.
        """
        if not new:
            return
        users: dict[IndexSpaces, None] = {}
        kept: set[IndexSpaces] = set()
        for function in self.functions:
            body = function.body
            if isinstance(body, LazyBody):
                if unless(function):
                    kept.add(body.scope)
                else:
                    users[body.scope] = None
            elif body is not None and not unless(function):
                _substitute_all(body.instructions, new)
        others: dict[IndexSpaces, IndexSpaces] = {}
        for scope in users:
            if scope in kept:
                others[scope] = scope.renamed(new)  # those that are kept go on to mean what they meant
            else:
                scope.rename(new)
        self.scopes += others.values()
        for function in self.functions if others else ():
            body = function.body
            if isinstance(body, LazyBody) and body.scope in others and not unless(function):
                function.body = body.over(others[body.scope])
        holders: list[Global | Table] = [*self.globals, *self.tables]
        for holder in holders:
            if holder.init is not None and not unless(holder):
                _substitute_all(holder.init, new)
        for element in self.elements:
            if unless(element):
                continue
            element.table = new.get(element.table, element.table)
            _substitute_all(element.offset or [], new)
            if element.functions is not None:
                element.functions = [new.get(f, f) for f in element.functions]
            for expression in element.expressions or ():
                _substitute_all(expression, new)
        in_data = any(not isinstance(item, Function) for item in new)  # no address names a function
        for data in self.datas if in_data else ():
            if not unless(data):
                data.memory = new.get(data.memory, data.memory)
                _substitute_all(data.offset or [], new)
        for export in self.exports:
            export.item = new.get(export.item, export.item)
        self.start = new.get(self.start, self.start)


def _substitute_all(instructions: list[Instruction], new: Mapping[Any, Any]) -> None:
    for i, instruction in enumerate(instructions):
        args = instruction.args
        names = args and (type(args[0]) is not int or len(args) > 1)  # few name anything
        if names and any(item in new for item in references(instruction)):
            instructions[i] = substitute(instruction, new)


def item_uses(instructions: Iterable[Instruction]) -> list[Item]:
    """The items that instructions name; some may come more than once."""
    return [
        used
        for i in instructions
        if (args := i.args) and (type(args[0]) is not int or len(args) > 1)  # few name anything
        for used in references(i)
        if isinstance(used, Item)
    ]
