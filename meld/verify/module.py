"""The verifier of both languages: what must hold of a program between any two passes, and what no engine can know.

An engine validates the stack discipline of a binary. What it cannot see is checked here, on the objects: whatever is
referred to stands in the program; items, notes and facts agree with each other; immediates are of the right kind. A
note class says itself what makes it consistent (`Note.problems`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import replace
from typing import Any

from meld.binary.limits import MAX_BODY
from meld.diagnostics import MeldError, Span
from meld.ir.instructions import Code, IndexSpaces, Instruction, LazyBody
from meld.ir.module import (
    HELD_BACK,
    SPACE_OF,
    CoreItem,
    DataSegment,
    ElementSegment,
    Function,
    Global,
    Memory,
    Module,
    Table,
    Tag,
)
from meld.ir.notes import Note
from meld.ir.numbering import SINGULAR
from meld.ir.types import ArrayType, ContType, FuncType, RefType, StructType, TypeDef
from meld.text.literals import identifier
from meld.verify.body import body_problems
from meld.verify.facts import FACTS, _promises_nothing
from meld.verify.problem import Problem, own_problems, referred


def module_problems(module: Module, *, decode: bool = False, known: Container[Function] = ()) -> Iterator[Problem]:
    """What is wrong with a core module; `decode` and `known` as in `meld.verify.program.verify`."""
    return _ModuleVerifier(module, decode, known).run()


class _ModuleVerifier:
    def __init__(self, module: Module, decode: bool, known: Container[Function]) -> None:
        self.module = module
        self.decode = decode
        self.known = known
        self.spaces = {space: module.space(space) for space in IndexSpaces.SPACES}
        self.live: set[Any] = {item for space in self.spaces.values() for item in space}
        self.imports = set(module.imports)
        self.notes: set[Note] = set(module.notes)
        self.dead: dict[int, set[tuple[str, int]]] = {}  # per scope, its entries that are not in the module

    def run(self) -> Iterator[Problem]:
        foreign = list(self.foreign())
        yield from foreign
        if foreign:
            return
        yield from self.repeated()
        yield from self.facts()
        yield from self.described(self.module, self.module.notes, "")
        yield from self.types()
        for item in self.module.items():
            yield from self.item(item)
        yield from self.exports()
        yield from self.start()
        segments: list[ElementSegment | DataSegment] = [*self.module.elements, *self.module.datas]
        for segment in segments:
            yield from self.segment(segment)
        for function in self.module.functions:
            yield from self.body(function)

    # --- places ---

    def place(self, item: Any) -> str:
        """How messages call an item."""
        space = _space_of(item)
        if item.name:
            return f"{SINGULAR[space]} {identifier(item.name)}"
        number = next((i for i, each in enumerate(self.spaces[space]) if each is item), None)
        return f"{SINGULAR[space]} {number}" if number is not None else f"a {SINGULAR[space]} without a name"

    def problem(self, message: str, item: Any, instruction: int | None = None, span: Span | None = None) -> Problem:
        return Problem(message, self.place(item), item, instruction, span or item.span)

    def missing(self, used: Iterable[Any], item: Any) -> Iterator[Problem]:
        """What is used and is not in the module."""
        for one in used:
            if one not in self.live:
                yield self.problem(f"refers to {self.place(one)}, which is not in the module", item)

    # --- the module ---

    def foreign(self) -> Iterator[Problem]:
        """What stands in a list of the module that is for something else."""
        for space, items in self.spaces.items():
            for item in items:
                if not isinstance(item, _CLASS_OF[space]):
                    yield Problem(f"a {type(item).__name__} stands among the {space} of the module", item=item)
        for item in self.module.imports:
            if type(item) not in SPACE_OF:
                yield Problem(f"a {type(item).__name__} stands among the imports of the module", item=item)

    def repeated(self) -> Iterator[Problem]:
        """What stands in the module more than once."""
        for items in self.spaces.values():
            if len(set(items)) < len(items):
                for item, count in Counter(items).items():
                    if count > 1:
                        yield self.problem(f"stands {count} times in the module", item)

    def facts(self) -> Iterator[Problem]:
        """Facts hold once, and what they promise holds."""
        for fact, count in Counter(self.module.facts).items():
            if count > 1:
                yield Problem(f"the fact `{fact}` is stated {count} times")
            promised = _promises_nothing if HELD_BACK in self.module.facts else FACTS.get(fact, _promises_nothing)
            for message, item in promised(self.module):
                yield Problem(
                    f"{message}, and the fact `{fact}` holds",
                    "" if item is None else self.place(item),
                    item,
                    span=None if item is None else item.span,
                )

    def described(self, holder: Any, notes: list[Note], where: str) -> Iterator[Problem]:
        """Notes: what they refer to is there, and they are consistent by their own rules."""
        for note in notes:
            place = f"{where}, (@meld.{note.tag})" if where else f"(@meld.{note.tag})"
            for name, value in referred(note):
                what = None
                if isinstance(value, Note):
                    if value.declares and value not in self.notes:
                        what = f"the {value.tag} `{value.name}`"
                elif value not in self.live:
                    what = self.place(value)
                if what is not None:
                    yield Problem(
                        f"`{name}` refers to {what}, which is not in the module", place, note, None, note.span
                    )
            for message in own_problems(note, holder, self.module):
                yield Problem(message, place, note, None, note.span)

    # --- types and items ---

    def types(self) -> Iterator[Problem]:
        for typedef in self.spaces["types"]:
            yield from self.missing(_types_in(typedef), typedef)
            if typedef.notes:
                yield from self.described(typedef, typedef.notes, self.place(typedef))

    def item(self, item: CoreItem) -> Iterator[Problem]:
        """What all items have in common, and their types."""
        if item.owner is not None and item.owner not in self.notes:
            yield self.problem(f"belongs to the instance `{item.owner.name}`, which is not in the module", item)
        if item.origin is not None and item.owner is None:
            yield self.problem("has an origin, and no owner that it comes from", item)
        imports = item in self.imports
        if imports and item.imported is None:
            yield self.problem("stands among the imports and is not imported", item)
        if not imports and item.imported is not None:
            yield self.problem(f"is imported as {item.imported} and stands among the definitions", item)
        content = getattr(item, "body" if isinstance(item, Function) else "init", None)
        if content is not None and item.imported is not None:
            yield self.problem("is imported, and has a content of its own", item)
        if content is None and item.imported is None and isinstance(item, Function | Global):
            yield self.problem("has no content", item)
        match item:
            case Function(type=typedef) | Tag(type=typedef):
                yield from self.missing((typedef,), item)
                if not isinstance(typedef.shape, FuncType):
                    yield self.problem("has a type that is not a function type", item)
            case Table(type=t) | Global(type=t):
                yield from self.missing(_defined(t), item)
            case Memory():
                pass
        if isinstance(item, Table | Memory):
            maximum = item.limits.maximum
            if maximum is not None and maximum < item.limits.minimum:
                yield self.problem(f"has {item.limits.minimum} at least and {maximum} at most", item)
        if isinstance(content, list):
            yield from self.code(item, content, 0)
        if item.notes:
            yield from self.described(item, item.notes, self.place(item))

    def exports(self) -> Iterator[Problem]:
        seen: set[str] = set()
        for export in self.module.exports:
            where = f'export "{export.name}"'
            if export.name in seen:
                yield Problem("is exported already", where, export, None, export.span)
            seen.add(export.name)
            if export.item not in self.live:
                message = f"refers to {self.place(export.item)}, which is not in the module"
                yield Problem(message, where, export, None, export.span)

    def start(self) -> Iterator[Problem]:
        function = self.module.start
        if function is None:
            return
        if function not in self.live:
            yield Problem(f"the start function is {self.place(function)}, which is not in the module")
        elif isinstance(function.type.shape, FuncType) and function.signature != FuncType():
            yield self.problem("is the start function, and takes parameters or has results", function)

    def segment(self, segment: ElementSegment | DataSegment) -> Iterator[Problem]:
        target = segment.memory if isinstance(segment, DataSegment) else segment.table
        if target is not None:
            yield from self.missing((target,), segment)
        if (target is None) is not (segment.offset is None):
            yield self.problem("has an offset and nothing that it is in, or the other way round", segment)
        if segment.offset is not None:
            yield from self.code(segment, segment.offset, 0)
        if isinstance(segment, ElementSegment):
            if segment.declarative and target is not None:
                yield self.problem("is declarative, and active", segment)
            if (segment.functions is None) is (segment.expressions is None):
                yield self.problem("has to have functions or expressions, one of the two", segment)
            yield from self.missing(_defined(segment.type), segment)
            yield from self.missing(segment.functions or (), segment)
            for expression in segment.expressions or ():
                yield from self.code(segment, expression, 0)
        if segment.notes:
            yield from self.described(segment, segment.notes, self.place(segment))

    # --- bodies ---

    def body(self, function: Function) -> Iterator[Problem]:
        body = function.body
        code: Code | None = None
        try:
            match body:
                case Code():
                    code = body
                case LazyBody():
                    if not any(scope is body.scope for scope in self.module.scopes):
                        yield self.problem("has a body over a scope that the module does not list", function)
                    if (self.decode and function not in self.known) or self.broken(body):
                        code = function.decoded()
        except MeldError as e:
            place = (e.where or "").rpartition(": ")[2]  # without the file, which others name
            message = f"{place}: {e.message}" if place else e.message
            yield replace(self.problem(message, function, span=e.span), hint=e.hint)
        if code is None or not isinstance(function.type.shape, FuncType):
            return
        if len(code.instructions) > MAX_BODY:
            what = f"has {len(code.instructions)} instructions; engines take a body of {MAX_BODY} bytes at most"
            yield self.problem(what, function)
            return
        for local in code.locals:
            yield from self.missing(_defined(local), function)
        yield from self.code(function, code.instructions, len(function.signature.params) + len(code.locals))

    def broken(self, body: LazyBody) -> bool:
        """Whether an encoded body names something that is not in the module. Raises MeldError if it is malformed."""
        scope = body.scope
        dead = self.dead.get(id(scope))
        if dead is None:
            dead = self.dead[id(scope)] = {
                (space, index)
                for space in IndexSpaces.SPACES
                for index, item in enumerate(getattr(scope, space))
                if item not in self.live
            }
        entries: Callable[[], set[tuple[str, int]]] | None = getattr(body, "entries", None)
        return bool(dead) and (entries is None or not dead.isdisjoint(entries()))

    def code(self, item: Any, instructions: list[Instruction], variables: int) -> Iterator[Problem]:
        """Instructions: their form, and that what they refer to is in the module."""
        for number, message, used in body_problems(instructions, variables, self.live):
            span = instructions[number].span if number < len(instructions) else None
            text = message if used is None else message.replace("%", self.place(used))
            yield self.problem(text, item, number, span)
        for instruction in instructions:
            if instruction.notes:
                yield from self.described(instruction, instruction.notes, self.place(item))


_CLASS_OF: dict[str, type[Any]] = {
    "types": TypeDef,
    **{space: cls for cls, space in SPACE_OF.items()},
    "elements": ElementSegment,
    "datas": DataSegment,
}


def _space_of(item: Any) -> str:
    found = next((space for space, cls in _CLASS_OF.items() if isinstance(item, cls)), None)
    if found is None:
        raise TypeError(f"{type(item).__name__} stands in no index space")
    return found


def _defined(t: Any) -> list[TypeDef]:
    return [t.heap] if isinstance(t, RefType) and isinstance(t.heap, TypeDef) else []


def _types_in(typedef: TypeDef) -> list[TypeDef]:
    """The definitions that a definition names."""
    match typedef.shape:
        case FuncType(params, results):
            inner: list[Any] = [*params, *results]
        case StructType(members):
            inner = [member.storage for member in members]
        case ArrayType(element):
            inner = [element.storage]
        case ContType(function):
            inner = [RefType(True, function)]
    return [*typedef.supers, *(found for t in inner for found in _defined(t))]


# --- facts ---------------------------------------------------------------------------------------------------------
