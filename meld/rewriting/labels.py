"""Instructions whose labels are objects, and text that becomes such instructions.

In a body a label is a number that counts blocks outwards, so whatever puts a block around instructions has to change
them. Here a branch names a `Label`, and numbers come back when everything is in place (`resolve`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeAlias

from meld.ir.instructions import Catch, Handler, Instruction
from meld.ir.module import CLOSING, LABELLED
from meld.ir.opcodes import OPS, Imm
from meld.support.records import record


@record(eq=False)
class Label:
    """The target of branches to one block."""


@record(eq=False)
class Opening:
    """An instruction that opens a block, and the label that it introduces."""

    instruction: Instruction
    label: Label


Flat: TypeAlias = "Instruction | Opening"
"""One instruction of a flat list with labels as objects."""

BRANCHES: dict[str, int] = {name: op.imms.index(Imm.LABEL) for name, op in OPS.items() if Imm.LABEL in op.imms}
"""Instructions with one label, and which of the immediates it is."""


RESUMING = frozenset({"resume", "resume_throw", "resume_throw_ref"})
"""Instructions whose last immediate is clauses with labels."""


def _over(handler: Handler, new: Callable[[Any], Any]) -> Handler:
    return handler if handler.label is None else Handler(handler.tag, new(handler.label))


def with_labels(i: Instruction, labels: Sequence[Any]) -> Instruction:
    """The instruction over other labels: number n becomes `labels[-1 - n]`. Other immediates are kept."""
    args: tuple[Any, ...] = i.args
    if i.op in BRANCHES:
        at = BRANCHES[i.op]
        args = (*args[:at], labels[-1 - args[at]], *args[at + 1 :])
    elif i.op == "br_table":
        args = (tuple(labels[-1 - number] for number in args[0]),)
    elif i.op == "try_table":
        catches = tuple(Catch(c.kind, c.tag, labels[-1 - c.label]) for c in args[1])
        args = (args[0], catches)
    elif i.op in RESUMING:
        args = (*args[:-1], tuple(_over(h, lambda number: labels[-1 - number]) for h in args[-1]))
    else:
        return i
    return Instruction(i.op, args, i.span, i.label, i.notes, i.place)


class _Depths:
    """The open blocks as a sequence that maps a label to its number."""

    def __init__(self) -> None:
        self.open: list[Label] = []
        self.at: dict[Label, int] = {}

    def enter(self, label: Label) -> None:
        self.at[label] = len(self.open)
        self.open.append(label)

    def of(self, label: Label) -> int:
        return len(self.open) - 1 - self.at[label]


def resolve(flat: Iterable[Flat], outermost: Label) -> list[Instruction]:
    """The instructions with numbers for labels; `outermost` is the label of the function itself."""
    out: list[Instruction] = []
    depths = _Depths()
    depths.enter(outermost)
    for one in flat:
        opening = one if isinstance(one, Opening) else None
        i = one.instruction if isinstance(one, Opening) else one
        if i.op in CLOSING:
            depths.open.pop()
        out.append(_numbered(i, depths) if i.op in _LABELLING else i)
        if opening is not None:
            depths.enter(opening.label)
    return out


_LABELLING = RESUMING | {*BRANCHES, "br_table", "try_table"}


def _numbered(i: Instruction, depths: _Depths) -> Instruction:
    args: Any = i.args
    if i.op == "br_table":
        args = (tuple(depths.of(label) for label in args[0]),)
    elif i.op == "try_table":
        args = (args[0], tuple(Catch(c.kind, c.tag, depths.of(c.label)) for c in args[1]))
    elif i.op in RESUMING:
        args = (*args[:-1], tuple(_over(h, depths.of) for h in args[-1]))
    else:
        at = BRANCHES[i.op]
        args = (*args[:at], depths.of(args[at]), *args[at + 1 :])
    return Instruction(i.op, args, i.span, i.label, i.notes, i.place)


# --- snippets --------------------------------------------------------------------------------------------------------

Step: TypeAlias = "tuple[str | None, tuple[str | int, ...], dict[str, str]]"
"""An instruction: its name, its immediates, and what is said of the block that it opens. Without a name: a list."""


def code(text: str, **names: Any) -> list[Instruction]:
    """A snippet as it stands in a body, with numbers for labels; it branches nowhere outside."""
    return resolve(snippet(text, **names), Label())


def snippet(text: str, **names: Any) -> list[Flat]:
    """Text as instructions.

    ``$name`` in place of an immediate is what is given for it, and alone it is a list of instructions. An instruction
    that opens a block is followed by what it needs of ``type=$name`` (a block type), ``catches=$name``, ``@name`` (the
    label).
    """
    out: list[Flat] = []
    for op, args, block in _steps(text):
        if op is None:
            out += names[str(args[0])]
        elif op in LABELLED:
            immediates: tuple[Any, ...] = (names[block["type"]] if "type" in block else None,)
            if "catches" in block:
                immediates = (*immediates, names[block["catches"]])
            out.append(Opening(Instruction(op, immediates), names[block["label"]] if "label" in block else Label()))
        else:
            out.append(Instruction(op, tuple(names[arg] if isinstance(arg, str) else arg for arg in args)))
    return out


@cache
def _steps(text: str) -> list[Step]:
    steps: list[Step] = []
    wanted = 0
    for token in text.split():
        name, _, value = token.replace("@", "label=").rpartition("=")
        if token in OPS:
            steps.append((token, (), {}))
            wanted = 0 if token in LABELLED else len(OPS[token].imms)
        elif name:
            steps[-1][2][name] = value.removeprefix("$")
        elif wanted:
            op, args, block = steps.pop()
            steps.append((op, (*args, token[1:] if token.startswith("$") else int(token)), block))
            wanted -= 1
        else:
            assert token.startswith("$"), token
            steps.append((None, (token[1:],), {}))
    return steps
