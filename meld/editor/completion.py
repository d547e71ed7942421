"""What can be written at a place: names of what fits there, instructions, fields, types, annotations.

A text in the middle of a word is malformed more often than not. So nothing here needs a program: the words and the
parentheses around the place say what fits. The types that are shown beside names are those of the index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from meld.editor.hover import head
from meld.editor.index import Index, space_of, spaces_of
from meld.editor.operands import shape_of
from meld.editor.scan import NAME, Group, tokens
from meld.editor.variables import Walk
from meld.ir.component import Prim
from meld.ir.describe import signature
from meld.ir.notes import NOTES
from meld.ir.opcodes import OPS, Imm
from meld.support.records import record
from meld.text.reading.names import VALTYPES


@record(frozen=True)
class Completion:
    """A word that fits, what it is (``name``, ``instruction``, ``keyword``, ``type``, ``annotation``), and its type."""

    text: str
    kind: str
    detail: str | None = None


@record(frozen=True)
class Completions:
    """What fits in the place of the characters from `start` to `end`."""

    start: int
    end: int
    found: list[Completion]


_MODULES = ("module", "core module")
_SCOPES = (*_MODULES, "component")
_BODIES = frozenset({"func", "global", "table", "elem", "data", "offset", "item", "then", "else", "do", *OPS})
"""Parentheses in which instructions may stand."""

_FIELDS = {
    "": "module component",
    "module": "type rec import func table memory global export start elem data tag",
    "component": "core type import export func instance component alias canon start value",
    "func": "export import type param result local",
    "global": "export import mut",
    "table": "export import elem ref",
    "memory": "export import data pagesize",
    "tag": "export import type param result",
    "type": "func struct array sub record variant list tuple flags enum option result own borrow stream future "
    "component instance resource",
    "rec": "type",
    "sub": "func struct array",
    "struct": "field",
    "array": "mut ref",
    "field": "mut ref",
    "import": "func table memory global tag type instance component core value",
    "export": "func table memory global tag type instance component core value",
    "elem": "offset item table ref",
    "data": "offset memory",
    "if": "then else result param type",
    "try": "do catch catch_all delegate",
    "try_table": "catch catch_ref catch_all catch_all_ref result param type",
    "block": "result param type",
    "loop": "result param type",
    "call_indirect": "type param result",
    "return_call_indirect": "type param result",
    "select": "result",
    "param": "ref",
    "result": "ref",
    "local": "ref",
    "core": "module instance type func alias rec",
    "core instance": "instantiate export",
    "instance": "instantiate export alias",
    "instantiate": "with",
    "with": "instance func type component",
    "alias": "core func type instance component value",
    "canon": "core func memory realloc post-return callback core-type",
    "variant": "case",
    "record": "field",
}
_CONTAINERS = frozenset({*_SCOPES, "rec", "import", "alias", "canon", "instance", "type", "core type", "core rec"})
"""Parentheses in which a name behind a keyword may be a definition."""

_OF_SPACE = {
    "functions": ("func",),
    "types": ("type",),
    "tables": ("table",),
    "memories": ("memory",),
    "globals": ("global",),
    "tags": ("tag",),
    "elements": ("elem", "table"),
    "datas": ("data", "memory"),
}
_OF_PARENT = {
    "func": ("func", "core func"),
    "core func": ("core func",),
    "start": ("func",),
    "type": ("type", "core type"),
    "ref": ("type",),
    "sub": ("type",),
    "own": ("type", "import", "export"),
    "borrow": ("type", "import", "export"),
    "memory": ("memory", "core memory"),
    "table": ("table", "core table"),
    "global": ("global", "core global"),
    "tag": ("tag", "core tag"),
    "elem": ("func", "table"),
    "realloc": ("core func",),
    "post-return": ("core func",),
    "callback": ("core func",),
    "instantiate": ("core module", "component"),
    "instance": ("instance", "core instance"),
    "core instance": ("core instance",),
    "alias": ("instance", "core instance", "component"),
}
_TYPED = frozenset({"param", "result", "local", "mut", "field", "array", "global", "table", "elem", "select"})
"""Parentheses of a core module in which types may stand."""
_WORD_BEFORE = re.compile(r"[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]*\Z")


@record()
class _Place:
    """A place: the word that begins at `start`, the parentheses around it, and the tokens in front of it in them.

    `opened` says that it stands right behind an opening parenthesis, which is not among those `around` it.
    """

    index: Index
    start: int
    word: str
    around: list[Group]
    opened: bool
    before: list[str]

    @property
    def keyword(self) -> str:
        """The keyword of the innermost parentheses; empty outside of all."""
        return self.around[0].keyword if self.around else ""

    @property
    def module(self) -> Group | None:
        """The innermost module or component around the place."""
        return next((group for group in self.around if group.keyword in _SCOPES), None)

    @property
    def in_core(self) -> bool:
        """Whether that is a core module."""
        return self.module is not None and self.module.keyword in _MODULES


def complete(index: Index, offset: int) -> Completions:
    """What fits at a place."""
    place = _place(index, offset)
    if place is None:
        return Completions(offset, offset, [])
    found = [one for one in _fitting(place) if one.text.startswith(place.word)]
    return Completions(place.start, offset, found)


def _place(index: Index, offset: int) -> _Place | None:
    """The place, None inside of a comment or a string."""
    text = index.source.text
    match = _WORD_BEFORE.search(text, text.rfind("\n", 0, offset) + 1, offset)
    start = match.start() if match is not None else offset
    around = index.tree.around(start)
    opened = bool(around) and around[0].start == start - 1
    begin = 0
    if around:
        last = None if opened else index.tree.last_child(around[0], start)
        begin = around[0].start if last is None else last.end
    before: list[str] = []
    for kind, at, end in tokens(text, begin):
        if at >= start:
            break
        open_end = kind == "string" and (end - at == 1 or text[end - 1] != '"')
        reaches = end + (open_end or text.startswith(";;", at))
        if kind in ("comment", "string") and start < reaches:
            return None
        if kind != "comment":
            before.append(text[at:end])
    return _Place(index, start, text[start:offset], around[opened:], opened, before)


def _fitting(place: _Place) -> Iterator[Completion]:
    keyword = place.keyword
    if place.word.startswith("$"):
        yield from _names(place)
    elif place.opened and place.word.startswith("@"):
        yield from (Completion(f"@{label}", "annotation", detail) for label, detail in known_annotations())
    elif keyword == "@meld.facts":
        from meld.passes import Registry

        yield from (Completion(fact, "keyword") for fact in sorted(Registry.standard().facts()))
    elif not keyword.startswith("@"):
        if place.opened:
            yield from (Completion(word, "keyword") for word in _FIELDS.get(keyword, "").split())
        elif not place.in_core and place.around:
            yield from (Completion(prim.value, "type") for prim in Prim)
        if keyword in _TYPED and place.in_core and not place.opened:
            yield from (Completion(word, "type") for word in VALTYPES)
        if keyword in _BODIES and place.in_core:
            yield from (Completion(name, "instruction", _shape(name)) for name in sorted(OPS))


def _shape(name: str) -> str | None:
    shape = shape_of(name)
    return None if shape is None else signature(shape)


def known_annotations() -> Iterator[tuple[str, str]]:
    """The annotations that mean something: label, and what it says."""
    from meld.notes import boundaries, channels, handles, linking, state, streams, tasks, world  # noqa: F401

    yield "custom", "a custom section"
    yield "name", "the name in the name section"
    yield "metadata.code.branch_hint", "which way a branch goes mostly"
    for tag, kind in sorted(NOTES.items()):
        yield f"meld.{tag}", (kind.__doc__ or "").strip().partition("\n")[0]


# --- names ---------------------------------------------------------------------------------------------------------


def _names(place: _Place) -> Iterator[Completion]:
    """The names of what can stand here."""
    index, text = place.index, place.index.source.text
    word = next((one for one in reversed(place.before) if one in OPS), None) or place.keyword
    if place.keyword in ("param", "local", "field") or (not place.in_core and _defines(place)):
        return
    op = OPS.get(word)
    if op is not None and op.imms and op.imms[0] in (Imm.LOCAL, Imm.LABEL, Imm.LABELS, Imm.BLOCK):
        if op.imms[0] is not Imm.BLOCK:
            yield from _variables(place, "local" if op.imms[0] is Imm.LOCAL else "label")
        return
    if place.in_core and op is None and _defines(place):
        return
    kinds = [kind for space in spaces_of(word) for kind in _OF_SPACE[space]] if op else _OF_PARENT.get(word)
    if kinds is None and not place.keyword.startswith("@"):
        kinds = []
    targets = {
        text[use.span.start : use.span.end]: use.target
        for use in reversed(index.outer)
        if use.definition and text[use.span.start] == "$"
    }
    for name, kind in _definitions(place).items():
        if kinds is None or not kinds or kind in kinds:
            target = targets.get(name)
            detail = head(index, target).removeprefix(f"{kind} {name}").lstrip(": ") if _is_short(target) else None
            yield Completion(name, "name", f"{kind}: {detail}" if detail else kind)


def _is_short(target: Any) -> bool:
    return space_of(target) in ("functions", "globals", "memories", "tables", "tags")


def _defines(place: _Place) -> bool:
    """Whether a name behind the keyword of the parentheses would be a definition."""
    if len(place.before) != len(place.keyword.split()) + 1 or len(place.around) < 2:
        return False
    parent = place.around[1].keyword
    return parent in (*_SCOPES, "rec", "import") and place.keyword not in ("start", "export", "alias")


def _definitions(place: _Place) -> dict[str, str]:
    """The names that are defined in the module or component around a place, with their keywords."""
    tree, text = place.index.tree, place.index.source.text
    scopes = {group.number for group in place.around if group.keyword in _SCOPES}
    if place.in_core and place.module is not None:
        scopes = {place.module.number}
    inside: dict[int, bool] = {}
    found: dict[str, str] = {}
    for group in tree.groups:
        parent = tree.parent(group)
        if parent is None or parent.keyword not in _CONTAINERS or group.keyword.startswith("@"):
            continue
        if parent.number not in inside:
            at: Group | None = parent
            while at is not None and at.keyword not in _SCOPES:
                at = tree.parent(at)
            inside[parent.number] = at is not None and at.number in scopes
        if inside[parent.number] and (match := _NAMED.match(text, group.start)) is not None:
            found.setdefault(match[1], group.keyword)
    return found


_NAMED = re.compile(rf"\(\s*(?:core\s+)?[a-z][\w-]*\s+({NAME})")


def _variables(place: _Place, kind: str) -> Iterator[Completion]:
    """The locals of the function around a place, or the labels that are open there, the innermost first."""
    function = next((group for group in place.around if group.keyword == "func"), None)
    if function is None:
        return
    index = place.index
    target = next((u.target for u in index.outer if u.definition and index.whole(u.span).start == function.start), None)
    walk = Walk(index.source, target if space_of(target) == "functions" else None)
    for _ in walk.uses(function.start, place.start):
        pass
    if kind == "local":
        variables = list(walk.locals.values())
    else:
        variables = [block.label for block in reversed(walk.blocks) if block.label is not None and block.open]
    for variable in variables:
        shown = head(index, variable).removeprefix(f"{kind} {variable.name}").lstrip(": ")
        yield Completion(variable.name, "name", shown or kind)
