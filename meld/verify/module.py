"""The verifier of both languages: what must hold of a program between any two passes, and what no engine can know.

An engine validates the stack discipline of a binary. What it cannot see is checked here, on the objects: whatever is
referred to stands in the program; items, notes and facts agree with each other; immediates are of the right kind. A
note class says itself what makes it consistent (`Note.problems`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from meld.diagnostics import MeldError, Span
from meld.ir.component import Component
from meld.ir.instructions import Code, Instruction, LazyBody, Scope
from meld.ir.module import (
    HELD_BACK,
    SPACE_OF,
    CoreItem,
    DataSegment,
    ElementSegment,
    Function,
    Global,
    Item,
    Memory,
    Module,
    Table,
    Tag,
)
from meld.ir.notes import NOTES, Instance, Note
from meld.ir.numbering import SINGULAR
from meld.ir.types import ArrayType, FuncType, RefType, StructType, TypeDef
from meld.support.records import record
from meld.text.literals import identifier
from meld.verify.body import body_problems

MAX_PROBLEMS = 200
"""A program that is wrong in more places than this is wrong in one; the rest is not listed."""


@record(frozen=True)
class Problem:
    """One thing that is wrong with a program.

    Attributes:
        message: what is wrong, one sentence without a full stop.
        where: in which item of which module or component: ``function $f``; empty for the program itself.
        item: the item, definition or note that it is about, if there is one.
        instruction: the number of the instruction in the body, from 0, if it is about one.
        span: where in the text, if the program came from text.
        hint: what to do about it.
    """

    message: str
    where: str = ""
    item: Any = None
    instruction: int | None = None
    span: Span | None = None
    hint: str | None = None

    @property
    def place(self) -> str:
        """`where` with the number of the instruction."""
        return self.where if self.instruction is None else f"{self.where}, instruction {self.instruction}"

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.where else self.message

    def error(self) -> MeldError:
        """The problem as an error, for those who stop at the first."""
        if self.span is None:
            return MeldError(self.message, where=self.place or None, hint=self.hint)
        return MeldError(str(self), span=self.span, hint=self.hint)


def verify(program: Component | Module, *, decode: bool = False) -> list[Problem]:
    """What is wrong with a program, at most `MAX_PROBLEMS` things, in the order of the program; empty if nothing is.

    Args:
        decode: look into every body. Without it a body that nobody has decoded, and whose scope refers to nothing but
            what is in the module, is taken as it was read.
    """
    if isinstance(program, Component):
        from meld.verify.composition import component_problems

        found = component_problems(program, lambda module: module_problems(module, decode=decode))
    else:
        found = module_problems(program, decode=decode)
    problems: list[Problem] = []
    try:
        for problem in found:
            problems.append(problem)
            if len(problems) == MAX_PROBLEMS:
                break
        if isinstance(program, Component) and not problems:
            from meld.verify.component.components import validate
            from meld.verify.composition import invalidity

            invalid = validate(program)
            problems += [invalidity(invalid, program)] if invalid is not None else []
    except (AttributeError, TypeError, KeyError, ValueError) as e:  # objects that a pass made, of whatever kind
        problems.append(Problem(f"the program is malformed beyond checking: {type(e).__name__}: {e}"))
    return problems


def module_problems(module: Module, *, decode: bool = False) -> Iterator[Problem]:
    """What is wrong with a core module."""
    return _ModuleVerifier(module, decode).run()


def held(value: Any) -> Iterator[Any]:
    """The notes and the objects that a field of a note refers to, at any depth of a type or of canonical options."""
    pending = [value]
    while pending:
        match pending.pop():
            case Note() | Item() | TypeDef() as found:
                yield found
            case tuple() | list() as parts:
                pending += reversed(parts)
            case part if is_dataclass(part) and not isinstance(part, type) and not hasattr(part, "notes"):
                pending += [getattr(part, f.name) for f in reversed(fields(part))]
            case part:
                if hasattr(part, "notes"):
                    yield part


def referred(note: Note) -> Iterator[tuple[str, Any]]:
    """What a note refers to, each with the name of the field."""
    for f in fields(note):
        if "kind" in f.metadata:
            for value in held(getattr(note, f.name)):
                yield f.name.replace("_", "-"), value


def own_problems(note: Note, holder: Any, program: Component | Module) -> Iterator[str]:
    """What a note says is wrong with it; also if it cannot even say that."""
    try:
        yield from note.problems(holder, program)
    except MeldError as e:
        yield e.message


class _ModuleVerifier:
    def __init__(self, module: Module, decode: bool) -> None:
        self.module = module
        self.decode = decode
        self.spaces = {space: module.space(space) for space in Scope.SPACES}
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
                    if self.decode or self.broken(body):
                        code = function.view()
        except MeldError as e:
            message = e.message if e.where is None else f"{e.where}: {e.message}"
            yield replace(self.problem(message, function, span=e.span), hint=e.hint)
        if code is None or not isinstance(function.type.shape, FuncType):
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
                for space in Scope.SPACES
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
    return [*typedef.supers, *(found for t in inner for found in _defined(t))]


# --- facts ---------------------------------------------------------------------------------------------------------

Broken = Iterator[tuple[str, Item | None]]
"""What speaks against a fact, with the item that it is about."""


def _promises_nothing(module: Module) -> Broken:
    return iter(())


def _has_instances(module: Module) -> Broken:
    owners = {item.owner for item in module.items() if item.owner is not None}
    if owners and not module.notes_of(Instance):
        yield "items have owners, and the module has no instances", None


def _nothing_at_boundaries(module: Module) -> Broken:
    for item in module.imports:
        if any(note.tag == "boundary" for note in item.notes):
            yield "is a call between components that is still to be adapted", item


def _nothing_pending(module: Module) -> Broken:
    yield from _nothing_at_boundaries(module)
    for item in module.imports:
        if item.imported is not None and item.imported.module == "meld:boundary" and not item.notes:
            yield "is imported from meld:boundary, and no note says what it stands for", item


def _one_memory(module: Module) -> Broken:
    yield from (("is another memory", memory) for memory in module.space("memories")[1:])


def _bridge_is_there(module: Module) -> Broken:
    bridged = [note for note in module.notes_of(NOTES.get("domain", Note)) if getattr(note, "bridged", False)]
    lowered = "one-memory" in module.facts  # the bridge memory has become a region of the only one
    if bridged and not lowered and not module.notes_of(NOTES.get("bridge", Note)):
        yield "stream domains are bridged, and the module has no (@meld.bridge)", None


FACTS: dict[str, Callable[[Module], Broken]] = {
    "merged": _has_instances,
    "stream-bridge": _bridge_is_there,
    "wired": _nothing_at_boundaries,
    "finished": _nothing_pending,
    "one-memory": _one_memory,
}
"""What the facts of the compiler's own passes promise, as far as it can be seen. Facts of plugins promise nothing."""
