"""Locals and labels of a function, and what refers to them: the program keeps neither, so they are found in the text.

Labels nest: a name means the innermost block of that name which is open, and a `br` of a number counts blocks. Source:
WebAssembly 3.0, section 6.5.1 (labels) and 6.6.4 (functions).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from meld.diagnostics import Source, Span
from meld.editor.scan import NAME, Token, tokens
from meld.ir.module import LABELLED, Function
from meld.ir.opcodes import OPS, Imm
from meld.ir.types import ValType
from meld.support.records import record
from meld.text.literals import identifier_name

_CLAUSES = {"catch": 1, "catch_ref": 1, "catch_all": 0, "catch_all_ref": 0}
"""Clauses of `try_table`: how many references stand in front of the label."""


_DEFINED = re.compile(rf"\(\s*(?:param|local)\s+({NAME})")


@record(eq=False)
class Variable:
    """A local variable or a label. `kind` is ``local`` or ``label``; `index` that of a local; `block` what opens it."""

    name: str
    kind: str
    span: Span
    function: Function | None
    index: int | None = None
    block: str = ""

    @property
    def type(self) -> ValType | None:
        """The type of a local; None if it is not known."""
        if self.function is None or self.index is None:
            return None
        params = self.function.signature.params
        if self.index < len(params):
            return params[self.index]
        from meld.ir.instructions import Code

        body = self.function.body
        types = body.locals if isinstance(body, Code) else getattr(body, "local_types", list)()
        at = self.index - len(params)
        return types[at] if at < len(types) else None


@record(eq=False)
class _Block:
    """A block: with parentheses up to the one that closes it, else up to its `end`.

    Its label can be branched to once it is `open`: not in the condition of a folded `if`.
    """

    label: Variable | None
    word: str
    depth: int
    flat: bool
    open: bool = True


@record(eq=False)
class Walk:
    """A walk through the text of a function, from its opening parenthesis on.

    Attributes:
        locals: those whose names have been met.
        blocks: those that are open, the outermost first.
    """

    source: Source
    function: Function | None
    locals: dict[str, Variable] = field(default_factory=dict)
    blocks: list[_Block] = field(default_factory=list)
    _depth: int = 0
    _heads: list[str] = field(default_factory=list)
    _ended: _Block | None = None

    def uses(self, start: int, end: int) -> Iterator[tuple[Span, Variable, bool]]:
        """Each place that names a local or a label, with that, and whether it is its definition."""
        names = self.function.local_names if self.function is not None else {}
        indices = {name: index for index, name in names.items()}
        defined = list(dict.fromkeys(m[1] for m in _DEFINED.finditer(self.source.text, start, end)))
        if len(defined) == len(names):  # annotations may give them other names
            indices |= {
                identifier_name(name) or name: index for name, index in zip(defined, sorted(names), strict=True)
            }
        word, count = "", 0  # the word that what follows belongs to, and how many operands it has had
        expects_head = False
        for token in tokens(self.source.text, start, end):
            kind, at, stop = token
            match kind:
                case "comment":
                    continue
                case "open":
                    self._depth += 1
                    self._heads.append("")
                    expects_head, word = True, ""
                    continue
                case "close":
                    self._close()
                    word = self._heads[-1] if self._heads and self._heads[-1] in ("param", "local") else ""
                case "word":
                    text = self.source.text[at:stop]
                    if not text[0].isdigit() and "=" not in text:
                        if expects_head:
                            self._heads[-1] = text
                        if text[0] != "@" and (expects_head or text in OPS):
                            self._word(text, folded=expects_head)
                            word, count = text, 0
                    elif word:
                        yield from self._refer(token, word, count, indices)
                        count += 1
                case "name":
                    yield from self._refer(token, word, count, indices)
                    count += 1
            expects_head = False

    def _close(self) -> None:
        while self.blocks and self.blocks[-1].depth >= self._depth:
            self.blocks.pop()
        self._depth = max(0, self._depth - 1)
        if self._heads:
            self._heads.pop()

    def _word(self, word: str, *, folded: bool) -> None:
        if word in LABELLED:
            self.blocks.append(_Block(None, word, self._depth, not folded, not folded or word != "if"))
        elif not self.blocks:
            return
        elif word == "then":
            self.blocks[-1].open = True
        elif word in ("end", "delegate") and not folded and self.blocks[-1].flat:
            self._ended = self.blocks.pop()
        elif word == "delegate" and folded:
            self._ended = self.blocks[-1]

    def _refer(
        self, token: Token, word: str, count: int, indices: dict[str, int]
    ) -> Iterator[tuple[Span, Variable, bool]]:
        _, at, stop = token
        text = self.source.text[at:stop]
        span = Span(self.source, at, stop)
        if word in ("param", "local"):
            if text[0] == "$" and count == 0:
                name = identifier_name(text) or text
                self.locals.setdefault(name, Variable(text, "local", span, self.function, indices.get(name)))
                yield span, self.locals[name], self.locals[name].span == span
            return
        if word in LABELLED:
            if text[0] == "$" and count == 0 and self.blocks:
                label = Variable(text, "label", span, self.function, block=word)
                self.blocks[-1].label = label
                yield span, label, True
            return
        found = self._meant(text, word, count)
        if found is not None:
            yield span, found, False

    def _meant(self, text: str, word: str, count: int) -> Variable | None:
        """The variable that an operand of a word means."""
        blocks = self.blocks
        if word in _CLAUSES and (word not in OPS or (blocks and blocks[-1].word == "try_table")):
            return self._label(text, blocks[:-1]) if count == _CLAUSES[word] else None
        if word in ("end", "else"):
            label = self._ended.label if word == "end" and self._ended else blocks[-1].label if blocks else None
            return label if label is not None and identifier_name(text) == identifier_name(label.name) else None
        op = OPS.get(word)
        if op is None or not op.imms:
            return None
        if op.imms[0] is Imm.LOCAL and count == 0:
            if text[0] == "$":
                return self.locals.get(identifier_name(text) or text)
            return next((v for v in self.locals.values() if v.index == _number(text)), None)
        if op.imms[0] is Imm.LABELS or (op.imms[0] is Imm.LABEL and count == 0):
            inside = blocks[:-1] if word == "delegate" and blocks and blocks[-1] is self._ended else blocks
            return self._label(text, inside)
        return None

    @staticmethod
    def _label(text: str, around: list[_Block]) -> Variable | None:
        blocks = [block for block in around if block.open]
        if text[0] != "$":
            number = _number(text)
            return blocks[-1 - number].label if number is not None and number < len(blocks) else None
        name = identifier_name(text)
        for block in reversed(blocks):
            if block.label is not None and identifier_name(block.label.name) == name:
                return block.label
        return None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
