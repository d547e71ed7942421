"""Instructions in text: a body kept as it was written, and the reader that decodes it.

Folded instructions are unfolded as they are read, with a stack of what is open instead of recursion.

Source: WebAssembly 3.0, section 6.5 (instructions); the legacy forms of exception handling from their proposal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from meld.diagnostics import MeldError, Span
from meld.ir.instructions import Code, IndexSpaces, Instruction, LazyBody
from meld.ir.module import LABELLED, Item, item_uses
from meld.ir.notes import NOTES, BranchHint, Note, Opaque, Quoted, Sexp, note_from_sexp
from meld.ir.opcodes import OPS
from meld.ir.types import FuncType, RefType, TypeDef, ValType
from meld.support.records import record
from meld.text.grammar.lexer import Scanner
from meld.text.reading.immediates import READERS, ImmediateReader
from meld.text.reading.names import similar
from meld.text.reading.tokens import BodyText
from meld.text.sexp import debug_name, read_annotation


@record(eq=False)
class TextBody(LazyBody):
    """A lazy body: a stretch of text with a scope. Instances of one module share the text."""

    text: BodyText
    scope: IndexSpaces

    @property
    def source(self) -> object:
        """The stretch of text."""
        return self.text

    @property
    def size(self) -> int:
        """In characters."""
        return self.text.end - self.text.start

    def over(self, scope: IndexSpaces) -> TextBody:
        """The same body over another scope."""
        return TextBody(self.text, scope)

    def decode(self) -> Code:
        """Decodes the body. Raises MeldError with its place if it is malformed."""
        return Code(self.local_types(), read_instructions(self.text, self.scope))

    def uses(self) -> list[Item]:
        """The items that the body names."""
        return item_uses(read_instructions(self.text, self.scope))

    def local_types(self) -> list[ValType]:
        """The types of the locals behind the parameters."""
        types = self.scope.types
        return [RefType(t[0], types[t[1]]) if isinstance(t, tuple) else t for t in self.text.locals]


def read_instructions(
    text: BodyText, scope: IndexSpaces, implicit: Callable[[FuncType], TypeDef] | None = None
) -> list[Instruction]:
    """The instructions of a stretch of text.

    Args:
        implicit: gives the definition of a function type that is written out and named nowhere; without it, only those
            of the scope are found.
    """
    return BodyReader(text, scope, implicit).read()


def is_simple(text: str, start: int, end: int) -> bool:
    """Whether a stretch may stay undecoded: it defines no type, all its words are known, its labels come in order.

    Stretches with comments or annotations are decoded at once, too: the rest of this test sees plain instructions.
    """
    if any(text.find(mark, start, end) >= 0 for mark in ';@"'):
        return False
    if any(pattern.search(text, start, end) for pattern in _REMARKABLE):
        return False
    words = {part for word in set(text[start:end].split()) for part in _PARENTHESES.split(word)}
    return all(word in _WORDS or word[:1] in _NUMERIC or _ATTRIBUTE.fullmatch(word) for word in words)


def label_names(text: str, start: int, end: int) -> dict[int, str]:
    """The names of the labels of a simple stretch, by the order of the blocks."""
    if text.find("$", start, end) < 0:
        return {}
    found = enumerate(_BLOCK.findall(text, start, end))
    return {number: name for number, name in found if name}


_REMARKABLE = (
    # folded conditionals, whose condition comes first; block types that are written out
    re.compile(r"\(\s*+(?:if(?![\w.])|try(?![\w.])|param\b|result\s*+(?:\(ref[^()]*\)|\w*+)\s*+(?!\)))"),
    re.compile(r"\)\s*+\(\s*+result\b"),
    # indirect calls without `(type …)`
    re.compile(r"call_indirect(?:\s++(?:\$[^\s()]++|[0-9]\w*+))?+\s*+(?!\(\s*+type\b)"),
)
_PARENTHESES = re.compile(r"[()]+")
_ATTRIBUTE = re.compile(r"(?:offset|align)=\w+|nan:0x[0-9a-fA-F_]+|")
_NUMERIC = frozenset("$+-0123456789")
_BLOCK = re.compile(r"(?<![^\s()])(?:block|loop|if|try|try_table)(?![^\s()])(?:\s+\$([^\s()\";]+))?")
_OTHER_WORDS = (
    "type param result ref null then else do catch catch_all catch_ref catch_all_ref on i8 i16 nan inf "
    "i8x16 i16x8 i32x4 i64x2 f32x4 f64x2 i32 i64 f32 f64 v128 func extern any eq i31 struct array exn cont none nofunc "
    "noextern noexn nocont funcref externref anyref eqref i31ref structref arrayref exnref contref nullref nullfuncref "
    "nullexternref nullexnref nullcontref"
)
_HEAD_WORDS = ("local", "param", "result", "type", "import", "export")
_WORDS = frozenset(OPS) | frozenset(_OTHER_WORDS.split())

_PLAIN = frozenset(name for name, op in OPS.items() if not READERS[name] and name not in ("else", "end", "catch_all"))


class Open(Enum):
    """What is open while instructions are read."""

    FOLDED = auto()  # ( instruction …: emitted when it closes
    BLOCK = auto()  # ( block …
    IF = auto()  # ( if …, in front of `then`
    THEN = auto()  # ( if … (then …), behind it
    ELSE = auto()  # ( if … (then …) (else …)
    TRY = auto()  # ( try …, in front of `do`
    DO = auto()  # ( try (do …), behind it
    CAUGHT = auto()  # ( try (do …) (catch …), which no `delegate` follows
    CAUGHT_ALL = auto()  # ( try (do …) (catch_all …), which nothing follows
    DELEGATED = auto()  # ( try (do …) (delegate …)
    CLAUSE = auto()  # ( then …, ( else …, ( do …, ( catch …
    FLAT = auto()  # block … end
    FLAT_IF = auto()
    FLAT_ELSE = auto()
    FLAT_TRY = auto()


_TAKE_FLAT = frozenset({Open.BLOCK, Open.CLAUSE, Open.FLAT, Open.FLAT_IF, Open.FLAT_ELSE, Open.FLAT_TRY})
_TAKE_FOLDED = _TAKE_FLAT | {Open.FOLDED, Open.IF}
_FLAT = frozenset({Open.FLAT, Open.FLAT_IF, Open.FLAT_ELSE, Open.FLAT_TRY})
_FLAT_OF = {"if": Open.FLAT_IF, "try": Open.FLAT_TRY}
_FOLDED_OF = {"if": Open.IF, "try": Open.TRY}


class BodyReader:
    """Reads one stretch of instructions. It has a reader of immediates, whose next token is its own."""

    def __init__(
        self, text: BodyText, scope: IndexSpaces, implicit: Callable[[FuncType], TypeDef] | None = None
    ) -> None:
        self.text = text
        self.immediates = ImmediateReader(text, scope, implicit)
        self.open: list[tuple[Open, Instruction, int]] = []
        self.out: list[Instruction] = []
        self.renamed: list[tuple[Instruction, str]] = []  # labels whose name is not the one in the text
        self.hint: BranchHint | None = None  # that of the next instruction
        self.plain = frozenset() if text.context.source.located else _PLAIN  # what the fast path takes

    def span(self, index: int) -> Span:
        """Where a token stands."""
        return self.immediates.span(index)

    def error(self, index: int, message: str, hint: str | None = None) -> MeldError:
        """An error at a token."""
        return self.immediates.error(index, message, hint)

    # --- the loop ---

    def read(self) -> list[Instruction]:
        """The whole stretch."""
        immediates, out = self.immediates, self.out
        tokens = immediates.tokens
        flat, plain, located = True, self.plain, self.text.context.source.located
        while token := tokens[immediates.at]:
            if flat and token in plain:
                out.append(Instruction(token))
                immediates.at += 1
                continue
            start, done = immediates.at, len(out)
            if token == "(":
                self.folded()
            elif token == ")":
                self.close()
            elif token[:2] == "(@":
                self.annotation(token)
            elif token not in READERS:
                raise self.unknown(token, self.immediates.at)
            else:
                if not flat:
                    raise self.error(self.immediates.at, f"expected `(` or `)`, found `{token[:40]}`")
                self.flat(token)
            if located:
                self.locate(start + (token == "("), done)
            flat = not self.open or self.open[-1][0] in _TAKE_FLAT
        if self.open:
            kind, instruction, index = self.open[-1]
            what = f"`{instruction.op}`"
            raise self.error(index, f"this {what} has no `end`" if kind in _FLAT else f"this {what} is not closed")
        for instruction, name in self.renamed:
            instruction.label = name
        return out

    def locate(self, index: int, done: int) -> None:
        """Says where the instructions stand that began with a token: those behind `done`, and the one that is open."""
        for instruction in (*self.out[done:], *(entry[1] for entry in self.open[-1:])):
            if instruction.span is None:
                instruction.span = self.span(index)

    def unknown(self, token: str, index: int) -> MeldError:
        """The error of a word that is no instruction."""
        if token in _OTHER_WORDS.split() or token in _HEAD_WORDS:
            return self.error(index, f"`{token}` is out of place: expected an instruction")
        from meld.ir.proposals import HINT, of_word, unsupported

        proposal = of_word(token)
        if proposal is not None:
            return self.error(index, unsupported(proposal, f"`{token}`"), HINT)
        if token[:1].isalpha():
            hint = similar(token, (*OPS, *_HEAD_WORDS))
            return self.error(index, f"unknown instruction `{token[:60]}`", hint and hint.replace("`$", "`"))
        return self.error(index, f"expected an instruction, found `{token[:40]}`")

    def flat(self, op: str) -> None:
        """An instruction that stands on its own, or one of the words that divide and close blocks."""
        index = self.immediates.at
        self.immediates.at += 1
        kind, opener = self.open[-1][:2] if self.open else (None, None)
        match op:
            case "end" | "else" | "delegate":
                expected = {"end": _FLAT, "else": {Open.FLAT_IF}, "delegate": {Open.FLAT_TRY}}[op]
                if kind not in expected or opener is None:
                    raise self.error(index, f"`{op}` outside of a block that it belongs to")
                self.open.pop()
                if op == "delegate":
                    self.immediates.labels.pop()
                    self.out.append(Instruction(op, self.immediates.read(op)))
                    return
                self.immediates.closing_label(opener.label)
                if op == "end":
                    self.immediates.labels.pop()
                else:
                    self.open.append((Open.FLAT_ELSE, opener, index))
                self.out.append(Instruction(op))
            case "catch" | "catch_all":
                if kind is not Open.FLAT_TRY:
                    raise self.error(index, f"`{op}` outside of a `try`")
                self.out.append(Instruction(op, self.immediates.read(op)))
            case _ if op in LABELLED:
                instruction = self.block(op)
                self.out.append(instruction)
                self.immediates.labels.push(instruction.label)
                self.open.append((_FLAT_OF.get(op, Open.FLAT), instruction, index))
            case _:
                self.out.append(self.hinted(Instruction(op, self.immediates.read(op))))

    def hinted(self, instruction: Instruction) -> Instruction:
        """The instruction, with the hint in front of it, if there is one."""
        if self.hint is not None:
            instruction.notes, self.hint = [self.hint], None
        return instruction

    def folded(self) -> None:
        """An opening parenthesis and what follows it."""
        index = self.immediates.at + 1
        self.immediates.at += 2
        op = self.immediates.tokens[index]
        kind, opener, opened = self.open[-1] if self.open else (Open.CLAUSE, Instruction("func"), 0)
        match kind, op:
            case Open.IF, "then":
                self.out.append(opener)
                self.immediates.labels.push(opener.label)
                self.clause(Open.THEN, index, opener)
            case Open.THEN, "else":
                self.out.append(Instruction("else"))
                self.clause(Open.ELSE, index, opener)
            case Open.TRY, "do":
                self.clause(Open.DO, index, opener)
            case ((Open.DO | Open.CAUGHT), ("catch" | "catch_all")):
                self.out.append(Instruction(op, self.immediates.read(op)))
                self.clause(Open.CAUGHT if op == "catch" else Open.CAUGHT_ALL, index, opener)
            case Open.DO, "delegate":
                self.immediates.labels.pop()
                instruction = Instruction(op, self.immediates.read(op))
                self.open[-1] = (Open.DELEGATED, opener, opened)
                self.open.append((Open.FOLDED, instruction, index))
            case _ if op not in READERS:
                raise self.unknown(op, index)
            case _ if kind not in _TAKE_FOLDED or op in _DIVIDERS:
                wanted = {
                    Open.THEN: "`(else` or `)`",
                    Open.TRY: "`(do`",
                    Open.DO: "`(catch` or `)`",
                    Open.CAUGHT: "`(catch` or `)`",
                }.get(kind, "`)`")
                where = wanted if kind not in _TAKE_FOLDED else "an instruction"
                raise self.error(index, f"expected {where}, found `({op}`")
            case _ if op in LABELLED:
                instruction = self.block(op)
                if op != "if":
                    self.out.append(instruction)
                    self.immediates.labels.push(instruction.label)
                self.open.append((_FOLDED_OF.get(op, Open.BLOCK), instruction, index))
            case _:
                self.open.append((Open.FOLDED, self.hinted(Instruction(op, self.immediates.read(op))), index))

    def clause(self, after: Open, index: int, opener: Instruction) -> None:
        """Opens `(then`, `(else`, `(do` or `(catch`; `after` is what its block is behind it."""
        self.open[-1] = (after, opener, self.open[-1][2])
        self.open.append((Open.CLAUSE, opener, index))

    def close(self) -> None:
        """A closing parenthesis."""
        index = self.immediates.at
        self.immediates.at += 1
        if not self.open:
            raise self.error(index, "this `)` closes nothing")
        kind, instruction, opened = self.open.pop()
        match kind:
            case Open.FOLDED:
                self.out.append(instruction)
            case Open.BLOCK | Open.THEN | Open.ELSE | Open.DO | Open.CAUGHT | Open.CAUGHT_ALL:
                self.immediates.labels.pop()
                self.out.append(Instruction("end"))
            case Open.CLAUSE | Open.DELEGATED:
                pass
            case Open.IF | Open.TRY:
                raise self.error(index, f"expected `({'then' if kind is Open.IF else 'do'}`, found `)`")
            case Open.FLAT | Open.FLAT_IF | Open.FLAT_ELSE | Open.FLAT_TRY:
                raise self.error(opened, f"this `{instruction.op}` has no `end`")

    def block(self, op: str) -> Instruction:
        """A label, and the block type and the catch clauses behind it."""
        label = self.immediates.label_name()
        if self.immediates.tokens[self.immediates.at].startswith("(@name"):
            name = debug_name(self.span(self.immediates.at))
            self.immediates.at += 1
            instruction = self.hinted(Instruction(op, self.immediates.read(op), label=label))
            self.renamed.append((instruction, name))
            return instruction
        return self.hinted(Instruction(op, self.immediates.read(op), label=label))

    def branch_hint(self, parts: list[Sexp]) -> None:
        """A hint stands in front of a conditional branch, alone; it is kept for that."""
        source, end = self.text.context.source, self.span(self.immediates.at).end
        if not _HINTED.match(source.text, Scanner(source.text, source).skip(end)):
            raise self.error(
                self.immediates.at, "a branch hint stands in front of `br_if` or `if`, and there is one only"
            )
        match parts:
            case [Quoted(text="\0" | "\1" as value)]:
                self.hint = BranchHint(value == "\1", span=self.span(self.immediates.at))
            case _:
                raise self.error(self.immediates.at, 'a branch hint is "\\00" or "\\01"')

    def annotation(self, token: str) -> None:
        """A note on the instruction in front of it; annotations of others are skipped."""
        label, parts = read_annotation(self.text.context.source, self.span(self.immediates.at).start, self.text.end)
        if label == "name":
            raise self.error(
                self.immediates.at, "this name is misplaced: it belongs to a block, behind its word and its label"
            )
        if label == "metadata.code.branch_hint":
            self.branch_hint(parts)
        if label.startswith("meld."):
            span = self.span(self.immediates.at)
            if self.open and self.open[-1][0] is Open.FOLDED:
                owner = self.open[-1][1]
            elif self.out:
                owner = self.out[-1]
            else:
                raise self.error(
                    self.immediates.at, "this note stands in front of all instructions and belongs to none"
                )
            found: Note = Opaque(label, parts, span=span)
            if (tag := label.removeprefix("meld.")) in NOTES:
                found = note_from_sexp(tag, parts, self.text.context.resolver(self.immediates.scope, span), span)
            owner.notes = [*(owner.notes or ()), found]
        self.immediates.at += 1


_HINTED = re.compile(r"\(?\s*(?:br_if|if)(?![\w.])")
_DIVIDERS = frozenset({"else", "end", "catch", "catch_all", "delegate"})
