"""What stands where in a text: definitions, what refers to them, and what can be said of them.

References are those that the parser itself finds. Locals and labels, which the program does not keep, are found by
their names within their function.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from meld.diagnostics import MeldError, Source, Span
from meld.ir import component as c
from meld.ir.component import Component
from meld.ir.instructions import LazyBody
from meld.ir.module import KEYWORD_OF, DataSegment, ElementSegment, Export, Function, Item, Module
from meld.ir.notes import Note
from meld.ir.types import TypeDef
from meld.support.records import record
from meld.text.reading.names import recording_uses
from meld.text.recovery import Group, groups, parse_all

_NAME = r"\$(?:\"[^\"\\]*(?:\\.[^\"\\]*)*\"|[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+)"
_LOCAL = re.compile(rf"(?P<def>\(\s*(?:param|local)|local\.(?:get|set|tee))\s+(?P<name>{_NAME})")
_LABEL = re.compile(
    rf"(?P<def>(?<![\w.])(?:block|loop|if|try|try_table)(?![\w.])|(?<![\w.])(?:br[\w.]*|rethrow|delegate|end|else))"
    rf"\s+(?P<names>{_NAME}(?:\s+{_NAME})*)"
)
_OPENERS = ("block", "loop", "if", "try", "try_table")


@record(eq=False)
class Variable:
    """A local variable or a label. `kind` is ``local`` or ``label``."""

    name: str
    kind: str
    span: Span
    function: Function


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


@record()
class Index:
    """What stands where in one text. `program` is None where the text is too broken to be read."""

    source: Source
    program: Module | Component | None
    uses: list[Use]
    groups: list[Group]

    def at(self, offset: int) -> Use | None:
        """What the word at a place refers to or defines."""
        found = [use for use in self.uses if use.span.start <= offset <= use.span.end]
        return min(found, key=lambda use: use.span.end - use.span.start, default=None)

    def of(self, target: Any) -> list[Use]:
        """All places that refer to something, in the order of the text, its definition included."""
        return [use for use in self.uses if use.target is target]

    def whole(self, span: Span) -> Span:
        """The parentheses around the name of a definition."""
        at = bisect_right(self.groups, span.start, key=lambda group: group.start) - 1
        while at >= 0 and self.groups[at].end < span.end:
            at -= 1
        return Span(self.source, self.groups[at].start, self.groups[at].end) if at >= 0 else span


def index_text(text: str, name: str) -> Index:
    """The index of a text; of one with errors, of what can be read. Never raises MeldError."""
    source = Source(name, text, located=True)
    with recording_uses() as found:
        program, _ = parse_all(text, name)
        if program is not None:
            _read_bodies(program)
    uses: dict[tuple[int, int], Use] = {}
    definitions = [] if program is None else [d for d in _definitions(program) if d.span is not None]
    for target in sorted(definitions, key=lambda target: _rank(target, source)):
        span = _name_in(target, source)
        uses.setdefault((span.start, span.end), Use(span, target, definition=True))
    for span, target in reversed(found):  # if the text was read several times, the last time counts
        uses.setdefault((span.start, span.end), Use(Span(source, span.start, span.end), _seen(target)))
    try:
        pairs = groups(text)
    except MeldError:
        pairs = []
    index = Index(source, program, [], pairs)
    for target in definitions:
        if isinstance(target, Function) and target.span is not None:
            for use in _variables(target, index.whole(target.span)):
                uses.setdefault((use.span.start, use.span.end), use)
    index.uses = sorted(uses.values(), key=lambda use: (use.span.start, use.span.end))
    return index


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


def _read_bodies(program: Module | Component) -> None:
    """Reads what is still text, so that its references are found too. What cannot be read has none."""
    for module in _modules(program):
        for function in module.functions:
            if isinstance(function.body, LazyBody):
                try:
                    function.view()
                except MeldError:
                    continue


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
            case Component():
                yield from (note for note in one.notes if note.declares)
                for item in one.definitions:
                    yield item
                    match item:
                        case c.CoreModule(module=inner):
                            pending.append(inner)
                        case c.NestedComponent(component=inner_component):
                            pending.append(inner_component)
                        case c.TypeDefinition(type=c.ComponentType(decls=decls) | c.InstanceType(decls=decls)):
                            yield from (decl for decl in decls if isinstance(decl, c.Definition))


def _name_in(target: Any, source: Source) -> Span:
    """The name of a definition in the text; its keyword if it has none."""
    start, end = target.span.start, target.span.end
    if isinstance(target, Note):
        match = re.compile(_NAME).search(source.text, start, end)
        if match is not None:
            return Span(source, match.start(), match.end())
    if source.text[start : start + 1] == "(":  # the keyword; a name may stand behind it
        match = re.compile(rf"\(\s*(?:core\s+)?\w+\s+({_NAME})").match(source.text, start)
        if match is not None:
            return Span(source, match.start(1), match.end(1))
    return Span(source, start, end)


def _variables(function: Function, whole: Span) -> Iterator[Use]:
    """The locals and labels of a function, and what refers to them."""
    source = whole.source
    known: dict[str, Variable] = {}
    for match in _LOCAL.finditer(source.text, whole.start, whole.end):
        span = Span(source, match.start("name"), match.end("name"))
        if match["def"].startswith("("):
            known.setdefault(match["name"], Variable(match["name"], "local", span, function))
        if match["name"] in known:
            yield Use(span, known[match["name"]], definition=known[match["name"]].span == span)
    labels: dict[str, Variable] = {}
    for match in _LABEL.finditer(source.text, whole.start, whole.end):
        opens = match["def"] in _OPENERS
        for name in re.finditer(_NAME, match["names"]):
            at = match.start("names") + name.start()
            span = Span(source, at, at + len(name[0]))
            if opens:
                labels[name[0]] = Variable(name[0], "label", span, function)
                yield Use(span, labels[name[0]], definition=True)
                break
            if name[0] in labels:
                yield Use(span, labels[name[0]])


# --- the outline ---------------------------------------------------------------------------------------------------


def outline(index: Index) -> list[Entry]:
    """The definitions of a text, those inside of others below them."""
    if index.program is None:
        return []
    entries: list[Entry] = []
    exports = [(export, export.span) for export in _exports(index.program) if export.span is not None]
    for target, span in [*((use.target, use.span) for use in index.uses if use.definition), *exports]:
        if not isinstance(target, Variable):
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
