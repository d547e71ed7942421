"""Comments survive formatting: each is anchored to what it stands at, and put back where that is printed.

The parser drops comments. But it tells where items, definitions and instructions stand, and the canonical text, read
again, gives the same objects in the same order. So a comment moves along with its object, wherever it goes:

- A comment behind something on a line stays behind it; so does one in front of a closing parenthesis.
- A comment behind a function that ends on that line stays behind it; one in its head, in front of its instructions,
  stays behind the head or on a line of its own above the function.
- Any other comment stands on a line of its own above what follows it.
- Comments in front of the program, and behind it, stay there.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from meld.diagnostics import MeldError, Source, Span
from meld.ir import component as c
from meld.ir.component import Component
from meld.ir.module import Module
from meld.support.records import record
from meld.text.grammar.lexer import Scanner
from meld.text.printing.program import print_program
from meld.text.reading.program import parse
from meld.text.recovery import Group, body_start, groups

_MARK = re.compile(r'[();"]')
_GENERATED = re.compile(r"\(;\d+;\)")
"""The comments that the printer writes itself: the number of what has no name."""
_LABEL = re.compile(r'@([^\s()";]+|"[^"]*")')
_UNDERSTOOD = re.compile(r"name|producers|meld\..*")

Key = tuple[Any, ...]
"""Which object of a program: the lists and the places in them that lead to it."""


@record(frozen=True)
class Comment:
    """A comment in a text."""

    start: int
    end: int
    text: str


def format_text(text: str, name: str) -> str:
    """The canonical text of a program, with its comments.

    Raises:
        MeldError: the text is malformed, or has an annotation in a place where it would be lost.
    """
    program = parse(text, name, located=True)
    plain = print_program(program)
    found = comments(text)
    _keep_annotations(text, plain, name)
    if not found:
        return plain
    return _Placed(text, program).into(plain, name, found)


def comments(text: str) -> list[Comment]:
    """The comments of a text that is well-formed, but for those that the printer writes."""
    return [mark for mark in _marks(text) if not mark.text.startswith("(@")]


def _marks(text: str) -> Iterator[Comment]:
    """The comments of a text, and the labels of its annotations: what merely looks like one in them is none."""
    scanner = Scanner(text)
    pos = 0
    while (match := _MARK.search(text, pos)) is not None:
        start = match.start()
        pos = match.end()
        if match[0] == '"':
            pos = scanner.string_end(start)
        elif match[0] == ";" and text.startswith(";", pos):
            pos = scanner.line_end(pos)
            yield Comment(start, pos, text[start:pos].rstrip())
        elif match[0] == "(" and text.startswith(";", pos):
            pos = scanner.block_comment_end(start)
            if not _GENERATED.fullmatch(text, start, pos):
                yield Comment(start, pos, text[start:pos])
        elif match[0] == "(" and (label := _LABEL.match(text, pos)) is not None:
            pos = label.end()
            yield Comment(start, pos, text[start:pos])


def _keep_annotations(text: str, plain: str, name: str) -> None:
    """Refuses to lose an annotation of others that stands where the parser skips it."""
    kept = Counter(mark.text for mark in _marks(plain) if mark.text.startswith("(@"))
    for mark in _marks(text):
        label = mark.text[2:]
        if not mark.text.startswith("(@") or _UNDERSTOOD.fullmatch(label):
            continue
        kept[mark.text] -= 1
        if kept[mark.text] < 0:
            span = Span(Source(name, text), mark.start, mark.end)
            hint = "annotations are kept among the fields of a module and behind the names of its items"
            raise MeldError(f"the annotation `{label}` would be lost here", span=span, hint=hint)


def anchors(program: Component | Module) -> list[tuple[int, Key]]:
    """Where the objects of a program stand in the text that it was read from, in the order of the text."""
    found = _component(program, ()) if isinstance(program, Component) else _module(program, ())
    return sorted(((span.start, key) for span, key in found if span is not None), key=lambda entry: entry[0])


Anchors = Iterator[tuple[Span | None, Key]]

_CODE = "code"
_LISTS = ("imports", "tables", "memories", "tags", "globals", "exports", "elements", "functions", "datas")


def _module(module: Module, key: Key) -> Anchors:
    for i, note in enumerate(module.notes):
        yield note.span, (*key, "notes", i)
    for i, typedef in enumerate(module.typedefs()):
        yield typedef.span, (*key, "types", i)
    for name in _LISTS:
        for i, item in enumerate(getattr(module, name)):
            yield item.span, (*key, name, i)
    for i, function in enumerate(module.functions):
        if function.body is not None:
            for number, instruction in enumerate(function.view().instructions):
                yield instruction.span, (*key, "functions", i, _CODE, number)


def _component(component: Component, key: Key) -> Anchors:
    # A stack, since components nest as deep as their author likes.
    pending: list[tuple[list[Any], Key]] = [(component.definitions, key)]
    for i, note in enumerate(component.notes):
        yield note.span, (*key, "notes", i)
    while pending:
        definitions, key = pending.pop()
        for i, item in enumerate(definitions):
            here = (*key, i)
            yield getattr(item, "span", None), here
            match item:
                case c.CoreModule(module=module):
                    yield from _module(module, here)
                case c.NestedComponent(component=nested):
                    for n, note in enumerate(nested.notes):
                        yield note.span, (*here, "notes", n)
                    pending.append((nested.definitions, here))
                case c.TypeDefinition(type=c.ComponentType(decls=decls) | c.InstanceType(decls=decls)):
                    pending.append((list(decls), here))


class _Placed:
    """A text with the places of its objects."""

    def __init__(self, text: str, program: Component | Module) -> None:
        self.text = text
        self.anchors = anchors(program)
        self.starts = [start for start, _ in self.anchors]
        scanner = Scanner(text)
        self.begin = scanner.skip(0)
        self.end = scanner.close(self.begin)
        self.scanner = scanner
        self.fields = _functions(text, self.anchors)
        self.field_starts = [group.start for _, group in self.fields]

    def into(self, plain: str, name: str, found: list[Comment]) -> str:
        """The canonical text with the comments in it."""
        lines = plain.rstrip("\n").split("\n")
        line_of, lines_of = self.lines(plain, name)
        head: list[str] = []
        tail: list[str] = []
        above: dict[int, list[str]] = defaultdict(list)
        behind: dict[int, list[str]] = defaultdict(list)
        for comment in found:
            if comment.start < self.begin:
                head.append(comment.text)
            elif comment.start >= self.end:
                tail.append(comment.text)
            elif (place := self.at_function(comment)) is not None:
                key, where = place
                first, head_line, end = lines_of[key]
                target = above if where == "above" else behind
                target[{"head": head_line, "end": end}.get(where, first)].append(comment.text)
            else:
                at = self.behind(comment)
                target = above if at is None else behind
                line = self.line_above(comment, line_of) if at is None else line_of.get(self.anchors[at][1])
                if line is None:
                    head.append(comment.text)
                else:
                    target[line].append(comment.text)
        out = head
        for number, shown in enumerate(lines):
            indent = shown[: len(shown) - len(shown.lstrip())]
            out += [indent + text for text in above[number]]
            out.append(" ".join([shown, *sorted(behind[number], key=lambda text: text.startswith(";;"))]))
        return "\n".join(out + tail) + "\n"

    def lines(self, plain: str, name: str) -> tuple[dict[Key, int], dict[Key, tuple[int, int, int]]]:
        """The line, from 0, of each object in the canonical text; of each function the first, the last of its head, and
        the last."""
        found = anchors(parse(plain, name, located=True))
        breaks = [i for i, character in enumerate(plain) if character == "\n"]
        functions: dict[Key, tuple[int, int, int]] = {}
        for key, group in _functions(plain, found):
            head = len(plain[: body_start(plain, group)].rstrip())
            first, middle, last = (bisect_left(breaks, place) for place in (group.start, head - 1, group.end - 1))
            functions[key] = first, middle, last
        return {key: bisect_left(breaks, start) for start, key in found}, functions

    def at_function(self, comment: Comment) -> tuple[Key, str] | None:
        """The function that a comment stands behind, or in whose head it stands, and where it goes: ``above`` its first
        line, ``behind`` that, behind its ``head`` or behind its ``end``. None: it stands elsewhere."""
        at = bisect_right(self.field_starts, comment.start) - 1
        if at < 0:
            return None
        key, group = self.fields[at]
        if comment.start >= group.end:
            between = self.text[group.end : comment.start]
            if between.strip(" \t") or not self.ends_line(comment):
                return None
            return key, "end" if "\n" in self.text[group.start : group.end] else "behind"
        body, following = body_start(self.text, group), self.scanner.skip(comment.end)
        line = self.text.rfind("\n", 0, comment.start) + 1
        if following < body:
            return key, "behind" if line <= group.start else "above"
        if comment.start < body and self.text[line : comment.start].strip() and self.ends_line(comment):
            return key, "head"
        return None

    def ends_line(self, comment: Comment) -> bool:
        """Whether nothing but space and comments follows a comment on its line."""
        following = self.scanner.skip(comment.end)
        return "\n" in self.text[comment.end : following] or comment.text.startswith(";;")

    def line_above(self, comment: Comment, line_of: dict[Key, int]) -> int | None:
        """The line of what follows a comment; of a folded instruction, that of the first of all in it."""
        first = bisect_left(self.starts, comment.end)
        if first == len(self.anchors):
            return None
        following = self.scanner.skip(comment.end)
        last = first + 1
        if self.text.startswith("(", following) and self.anchors[first][1][-2:-1] == (_CODE,):
            last = max(last, bisect_left(self.starts, self.scanner.close(following)))
        lines = [line_of[key] for _, key in self.anchors[first:last] if key in line_of]
        return min(lines, default=None)

    def behind(self, comment: Comment) -> int | None:
        """The anchor that a comment stands behind; None if it stands above the next one."""
        before = bisect_right(self.starts, comment.start) - 1
        following = self.scanner.skip(comment.end)
        line = self.text.rfind("\n", 0, comment.start) + 1
        if before >= 0 and self.ends_line(comment) and self.starts[before] >= line:
            return before
        return before if before >= 0 and self.text.startswith(")", following) else None


def _functions(text: str, found: list[tuple[int, Key]]) -> list[tuple[Key, Group]]:
    """The functions among the objects of a text, with the parentheses around them."""
    pairs = [group for group in groups(text) if group.keyword in ("func", "import")]
    starts = [group.start for group in pairs]
    fields = [(key, pairs[bisect_right(starts, start) - 1]) for start, key in found if key[-2:-1] == ("functions",)]
    return [(key, group) for key, group in fields if group.keyword == "func"]
