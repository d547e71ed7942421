"""What stands where in a text: definitions, what refers to them, and what can be said of them.

References are those that the parser itself finds. Locals and labels, which the program does not keep, are found by
their names within their function.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any

from meld.diagnostics import MeldError, Source, Span
from meld.diagnostics.forms import Diagnostic
from meld.editor.edits import edit_of
from meld.editor.scan import NAME, Tree, tokens
from meld.editor.variables import Variable, Walk
from meld.ir import component as c
from meld.ir.component import Component
from meld.ir.instructions import LazyBody
from meld.ir.module import KEYWORD_OF, SPACE_OF, DataSegment, ElementSegment, Export, Function, Item, Module
from meld.ir.notes import Note
from meld.ir.opcodes import OPS, Imm
from meld.ir.types import TypeDef
from meld.support.records import record
from meld.text.literals import identifier_name
from meld.text.reading.component.scope import TextScope
from meld.text.reading.names import ReadBody, Recording, recording
from meld.text.recovery import parse_all
from meld.verify.program import MAX_PROBLEMS


@record(frozen=True)
class Use:
    """A place that refers to something; `definition` if it is that of its name."""

    span: Span
    target: Any
    definition: bool = False


@record()
class Entry:
    """A definition in the outline: what it is, its name, the place of the name and of the whole, and what is in it."""

    target: Any
    kind: str
    name: str
    span: Span
    whole: Span
    children: list[Entry] = field(default_factory=list)


@record(eq=False)
class Index:
    """What stands where in one text.

    What is inside of functions is found on demand: locals and labels, and in bodies that are known from an earlier
    version of the text everything.

    Attributes:
        program: what is left of it without its errors, and if it is `cut`, when all parentheses are closed at its end;
            None if that is nothing.
        outer: the uses that were found while the text was read, in its order.
        functions: those whose insides are found on demand, with their parentheses, in the order of the text.
        bodies: the bodies of functions, by where they start.
        verified: where those bodies start in which nothing is wrong, as far as that is known.
    """

    source: Source
    program: Module | Component | None
    errors: list[MeldError]
    cut: bool
    tree: Tree
    outer: list[Use] = field(default_factory=list)
    functions: list[tuple[Span, Function]] = field(default_factory=list)
    bodies: dict[int, ReadBody] = field(default_factory=dict)
    verified: frozenset[int] = frozenset()
    _inside: dict[Function, list[Use]] = field(default_factory=dict)
    _uses: list[Use] | None = None
    _by_target: dict[int, list[Use]] = field(default_factory=dict)

    @property
    def uses(self) -> list[Use]:
        """All uses, in the order of the text; of those at one place the first one that was found."""
        if self._uses is None:
            self._uses = self._merged(self.functions)
        return self._uses

    @property
    def known(self) -> set[Function]:
        """The functions whose bodies are known to be right."""
        return {self.bodies[start].function for start in self.verified}

    def within(self, start: int, end: int) -> list[Use]:
        """The uses that begin in a stretch."""
        if self._uses is None and end - start < len(self.source.text):
            found = self._merged([one for one in self.functions if one[0].start < end and start < one[0].end])
        else:
            found = self.uses
        first, last = (bisect_left(found, place, key=lambda use: use.span.start) for place in (start, end))
        return found[first:last]

    def at(self, offset: int) -> Use | None:
        """What the word at a place refers to or defines; of two words that touch, the one that begins there."""
        found = _reaching(self.outer, offset)
        for span, function in self._around(offset):
            found += _reaching(self.inside(function, span), offset)
        return min(found, key=lambda use: (offset == use.span.end, use.span.end - use.span.start), default=None)

    def of(self, target: Any) -> list[Use]:
        """All places that refer to something, in the order of the text, its definition included."""
        if not self._by_target:
            for use in self.uses:
                self._by_target.setdefault(id(use.target), []).append(use)
        return self._by_target.get(id(target), [])

    def whole(self, span: Span) -> Span:
        """The parentheses around the name of a definition."""
        group = self.tree.whole(span.start, span.end)
        return span if group is None else Span(self.source, group.start, group.end)

    def inside(self, function: Function, whole: Span) -> list[Use]:
        """What is inside of a function, in the order of the text: locals, labels, and what its body names."""
        found = self._inside.get(function)
        if found is None:
            uses: dict[tuple[int, int], Use] = {}
            if isinstance(function.body, LazyBody):
                with recording() as seen, suppress(MeldError):
                    _ = function.code
                for span, target in seen.uses:
                    uses.setdefault((span.start, span.end), Use(Span(self.source, span.start, span.end), target))
            for span, variable, definition in Walk(self.source, function).uses(whole.start, whole.end):
                uses.setdefault((span.start, span.end), Use(span, variable, definition))
            found = self._inside[function] = sorted(uses.values(), key=_place_of)
        return found

    def take_verdict(self, found: Sequence[Diagnostic]) -> None:
        """Takes what was found wrong with the text: bodies without any of it are known to be right from now on."""
        if len(found) >= MAX_PROBLEMS or any(one.span is None for one in found):
            return
        wrong = {function for one in found if one.span is not None for _, function in self._around(one.span.start)}
        right = {start for start, body in self.bodies.items() if body.sound and body.function not in wrong}
        self.verified = frozenset(right)

    def _around(self, offset: int) -> list[tuple[Span, Function]]:
        """The function at a place, and the one that ends there."""
        end = bisect_right(self.functions, offset, key=lambda one: one[0].start)
        return [one for one in self.functions[max(0, end - 2) : end] if offset <= one[0].end]

    def _merged(self, functions: Sequence[tuple[Span, Function]]) -> list[Use]:
        uses = {(use.span.start, use.span.end): use for use in self.outer}
        for span, function in functions:
            for use in self.inside(function, span):
                uses.setdefault((use.span.start, use.span.end), use)
        return sorted(uses.values(), key=_place_of)


def _place_of(use: Use) -> tuple[int, int]:
    return use.span.start, use.span.end


def _reaching(uses: list[Use], offset: int) -> list[Use]:
    """Those of some uses, in the order of the text, that reach over a place."""
    end = bisect_right(uses, offset, key=lambda use: use.span.start)
    return [use for use in uses[max(0, end - NESTED) : end] if offset <= use.span.end]


KEEP = 4 << 20
"""Characters of a text up to which its functions stay decoded."""
MAX_MISSING = 200
"""How many closing parentheses a text may lack and still be read as if it had them."""
NESTED = 8
"""How many uses may begin at a place or in front of it and still reach over it: spans of annotations hold others."""


def index_text(text: str, name: str, before: Index | None = None) -> Index:
    """The index of a text; of one with errors, of what can be read. Never raises MeldError.

    Args:
        before: that of an earlier version: if the versions differ inside of one function only, the others are not read.
    """
    edit = None if before is None else edit_of(before.bodies, before.source.text, text)
    if edit is not None and before is not None and not before.cut and before.program is not None:
        index = _index(text, name, edit.known)
        if edit.holds(index.bodies, failed=bool(index.errors)):
            index.verified = frozenset(edit.moved(start) for start in before.verified) & edit.known.keys()
            return index
    return _index(text, name, {})


def _index(text: str, name: str, known: Mapping[int, int]) -> Index:
    """The index of a text with bodies that are known, as `Recording` has them."""
    source = Source(name, text, located=True)
    tree = Tree.of(text)
    missing = sum(not group.closed for group in tree.groups)
    with recording(known) as found:
        program, errors = parse_all(text, name)
        cut = program is None and 0 < missing <= MAX_MISSING
        if cut:
            program, _ = parse_all(f"{text}\n{')' * missing}", name)
        broken = [] if program is None else _read_bodies(program, found, keep=len(text) <= KEEP)
    index = Index(source, program, errors, cut, tree, bodies=found.bodies)
    definitions = [] if program is None else [d for d in _definitions(program) if d.span is not None]
    if (
        isinstance(program, Component)
        and program.span is not None
        and source.text[_name_in(program, source).start] == "$"
    ):
        definitions.append(program)
    uses: dict[tuple[int, int], Use] = {}
    for target in sorted(definitions, key=lambda target: _rank(target, source)):
        span = _name_in(target, source)
        uses.setdefault((span.start, span.end), Use(span, target, definition=True))
    last = {_place(target): target for target in definitions}
    around = {(target.span.start, target.span.end): target for target in definitions}
    for span, seen in reversed(found.uses):  # if the text was read several times, the last time counts
        target = _seen(seen)
        if isinstance(target, TextScope):  # what is inside of a definition, which an outer alias names
            target = around.get((target.place.start, target.place.end)) if target.place is not None else None
            if target is None:
                continue
        target = last.get(_place(target), target)  # one of an earlier time means what stands there now
        uses.setdefault((span.start, span.end), Use(Span(source, span.start, span.end), target))
    index.outer = sorted(uses.values(), key=_place_of)
    functions = [(index.whole(d.span), d) for d in definitions if isinstance(d, Function) and d.span is not None]
    index.functions = sorted(functions, key=lambda one: one[0].start)
    if errors or broken:
        index.outer = sorted([*index.outer, *_unread(index, [*errors, *broken])], key=_place_of)
    return index


def _place(target: Any) -> tuple[type[Any], int, int, Any]:
    span = getattr(target, "span", None)
    return (
        type(target),
        *((span.start, span.end) if span is not None else (-1, id(target))),
        getattr(target, "name", None),
    )


def _unread(index: Index, errors: list[MeldError]) -> Iterator[Use]:
    """What names mean in functions with errors, which are not read to the end: found by the words in front of them."""
    names: dict[tuple[str, str | None], Any] = {}
    for use in index.outer:
        text = index.source.text[use.span.start : use.span.end]
        space = space_of(use.target)
        if use.definition and space is not None and text.startswith("$"):
            names.setdefault((space, identifier_name(text)), use.target)
    broken = {group.number: group for e in errors if e.span for group in index.tree.around(e.span.start)}
    for group in broken.values():
        if group.keyword != "func":
            continue
        word = ""
        known = {_place_of(use) for use in index.within(group.start, group.end)}
        for kind, start, end in tokens(index.source.text, group.start, group.end):
            text = index.source.text[start:end]
            if kind == "word":
                word = text
            elif kind == "name" and (start, end) not in known:
                for space in spaces_of(word):
                    target = names.get((space, identifier_name(text)))
                    if target is not None:
                        yield Use(Span(index.source, start, end), target)
                        break


SPACE_OF_IMM = {
    Imm.FUNC: "functions",
    Imm.TYPE: "types",
    Imm.HEAP: "types",
    Imm.REF: "types",
    Imm.BLOCK: "types",
    Imm.TABLE: "tables",
    Imm.MEMORY: "memories",
    Imm.MEMARG: "memories",
    Imm.GLOBAL: "globals",
    Imm.TAG: "tags",
    Imm.ELEM: "elements",
    Imm.DATA: "datas",
}


def spaces_of(word: str) -> list[str]:
    """The index spaces that the operands of an instruction name, in order; that of a type use and a reference type."""
    if word in ("type", "ref", "sub", "cont"):
        return ["types"]
    if word == "on":
        return ["tags"]
    op = OPS.get(word)
    return [] if op is None else [SPACE_OF_IMM[imm] for imm in op.imms if imm in SPACE_OF_IMM]


def space_of(target: Any) -> str | None:
    """The index space of a core module that something is in."""
    match target:
        case TypeDef():
            return "types"
        case ElementSegment():
            return "elements"
        case DataSegment():
            return "datas"
        case Item():
            return SPACE_OF[type(target)]
    return None


def _rank(target: Any, source: Source) -> int:
    """Sugar makes several definitions at one place; the one that the text is about comes first."""
    if getattr(target, "name", None):
        return 0
    word = re.compile(r"\(?\s*([a-z]+(?:\s[a-z]+)?)").match(source.text, target.span.start)
    kind = kind_of(target).removeprefix("import ")
    return 1 if word is not None and kind in (word[1], word[1].partition(" ")[0]) else 2


def _seen(target: Any) -> Any:
    """What an editor shows for a target: not the alias of an outer definition that a name stands for."""
    while isinstance(target, c.OuterAlias) and target.span is None:
        target = target.target
    return target


def _read_bodies(program: Module | Component, found: Recording, *, keep: bool) -> list[MeldError]:
    """Reads what is still text and not known, so that its references are found too. Returns what is wrong with it.

    Args:
        keep: whether functions keep what was read, so that it is not read again when they are checked.
    """
    errors: list[MeldError] = []
    read = {one.function: one for one in found.bodies.values()}
    for module in _modules(program):
        for function in module.functions:
            body = read.get(function)
            if isinstance(function.body, LazyBody) and not (body is not None and body.sound):
                try:
                    _ = function.code if keep else function.decoded()
                except MeldError as e:
                    errors.append(e)
                else:
                    if body is not None:
                        body.sound = True
    return errors


def _modules(program: Module | Component) -> Iterator[Module]:
    pending: list[Module | Component] = [program]
    while pending:
        one = pending.pop()
        if isinstance(one, Module):
            yield one
            continue
        for item in one.definitions:
            match item:
                case c.CoreModule(module=module):
                    pending.append(module)
                case c.NestedComponent(component=nested):
                    pending.append(nested)


def _definitions(program: Module | Component) -> Iterator[Any]:
    """Everything that can be referred to, notes included."""
    pending: list[Any] = [program]
    while pending:
        one = pending.pop()
        match one:
            case Module():
                yield from (note for note in one.notes if note.declares)
                yield from one.typedefs()
                yield from (*one.items(), *one.elements, *one.datas)
            case Component() | c.ComponentType() | c.InstanceType():
                if isinstance(one, Component):
                    yield from (note for note in one.notes if note.declares)
                for item in one.definitions if isinstance(one, Component) else one.decls:
                    if not isinstance(item, c.Definition):
                        continue
                    yield item
                    match item:
                        case c.CoreModule(module=inner):
                            pending.append(inner)
                        case c.NestedComponent(component=inner_component):
                            pending.append(inner_component)
                        case c.TypeDefinition(type=c.ComponentType() | c.InstanceType() as of):
                            pending.append(of)


def _name_in(target: Any, source: Source) -> Span:
    """The name of a definition in the text; its keyword if it has none."""
    start, end = target.span.start, target.span.end
    if isinstance(target, Note):
        match = re.compile(NAME).search(source.text, start, end)
        if match is not None:
            return Span(source, match.start(), match.end())
    if source.text[start : start + 1] == "(":  # the keyword; a name may stand behind it
        match = re.compile(rf"\(\s*(?:core\s+)?\w+\s+({NAME})").match(source.text, start)
        match = match or re.compile(rf"\(\s*(?:core\s+)?\w+\s+({NAME})\Z").search(source.text, start, end)
        if match is not None:
            return Span(source, match.start(1), match.end(1))
    return Span(source, start, end)


# --- the outline ---------------------------------------------------------------------------------------------------


def outline(index: Index) -> list[Entry]:
    """The definitions of a text, those inside of others below them."""
    if index.program is None:
        return []
    entries: list[Entry] = []
    exports = [(export, export.span) for export in _exports(index.program) if export.span is not None]
    for target, span in [*((use.target, use.span) for use in index.outer if use.definition), *exports]:
        if not isinstance(target, (Variable, Component)):
            entries.append(Entry(target, kind_of(target), name_of(target), span, index.whole(span)))
    entries.sort(key=lambda entry: (entry.whole.start, -entry.whole.end))
    roots: list[Entry] = []
    stack: list[Entry] = []
    for entry in entries:
        while stack and stack[-1].whole.end < entry.whole.end:
            stack.pop()
        inside = stack and stack[-1].whole.end >= entry.whole.end and stack[-1].whole != entry.whole
        (stack[-1].children if inside else roots).append(entry)
        if not inside:
            stack.clear()
        stack.append(entry)
    return roots


def _exports(program: Module | Component) -> Iterator[Export]:
    for module in _modules(program):
        yield from module.exports


def kind_of(target: Any) -> str:
    """What a target is, as the text calls it."""
    match target:
        case Variable(kind=kind):
            return kind
        case Note():
            return f"@meld.{target.tag}"
        case TypeDef():
            return "type"
        case ElementSegment():
            return "elem"
        case DataSegment():
            return "data"
        case Export():
            return "export"
        case Item():
            return ("import " if target.imported else "") + KEYWORD_OF[type(target)]
        case c.Export():
            return "export"
        case c.Import():
            return f"import {target.type.sort.value}"
        case c.Definition():
            return target.sort.value if target.sort else type(target).__name__.lower()
    return type(target).__name__.lower()


def name_of(target: Any) -> str:
    """What a target is called."""
    match target:
        case Variable(name=name):
            return name
        case Export(name=name):
            return f'"{name}"'
        case c.Export() | c.Import():
            return f'"{target.extern.name}"'
        case Item(imported=imported, name=None) if imported is not None:
            return str(imported)
    own: str | None = getattr(target, "name", None)
    return f"${own}" if own else "(no name)"
