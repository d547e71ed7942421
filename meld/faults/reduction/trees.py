"""What belongs together in a body: statements and operands, as ranges of its flat list of instructions."""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeAlias

from meld.ir.instructions import BlockType, Instruction
from meld.ir.module import LABELLED, Function
from meld.ir.types import F32, F64, I32, I64, V128, FuncType, NumType, TypeDef, ValType
from meld.support.records import record

Type: TypeAlias = "ValType | None"
"""The type of an operand; None if it is not known."""

Effect: TypeAlias = "tuple[int, list[Type]]"
"""How many operands an instruction takes, and what it leaves."""

TYPES: dict[str, ValType] = {"i32": I32, "i64": I64, "f32": F32, "f64": F64, "v128": V128}

_UNARY = (
    "clz ctz popcnt abs neg sqrt ceil floor trunc nearest wrap extend convert demote promote reinterpret not any_true "
    "all_true bitmask splat extract_lane extadd relaxed_trunc"
)
UNARY = tuple(_UNARY.split())
"""Instructions with one operand, by how their names begin behind the dot."""

COMPARISONS = frozenset({"eqz", "eq", "ne", "lt", "gt", "le", "ge"})

FIXED: dict[str, tuple[int, int]] = {
    "nop": (0, 0),
    "drop": (1, 0),
    "br_if": (1, 0),
    "memory.copy": (3, 0),
    "memory.fill": (3, 0),
    "memory.init": (3, 0),
    "table.copy": (3, 0),
    "table.init": (3, 0),
    "table.fill": (3, 0),
    "table.set": (2, 0),
    "table.get": (1, 1),
    "data.drop": (0, 0),
    "elem.drop": (0, 0),
    "ref.null": (0, 1),
    "ref.func": (0, 1),
    "ref.is_null": (1, 1),
}
"""Instructions whose operands and results are always as many."""

ENDS = frozenset({"unreachable", "return", "br", "br_table", "throw", "rethrow", "throw_ref", "return_call"})
"""Nothing runs behind these."""


@record()
class Trees:
    """The parts of a body.

    Attributes:
        statements: for each block (the whole body is the first), the ranges of what leaves nothing on the stack.
        operands: the ranges of what leaves one value, with its type, and the ranges of its own operands.
        blocks: the numbers of `block` or `loop`, and of its `end`.
    """

    statements: list[list[range]] = field(default_factory=list)
    operands: list[tuple[range, Type, list[tuple[range, Type]]]] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)


@record()
class _Frame:
    """An open block: where it begins with its operands, its instruction, its type, what is on the stack below it."""

    begin: int
    at: int
    results: list[Type]
    height: int
    statements: list[range]
    over: bool = False


def trees(function: Function, instructions: list[Instruction]) -> Trees:
    """Finds the parts of a body; where an instruction is not known, what stands around it is left out."""
    found = Trees([[]])
    variables = _variables(function)
    stack: list[tuple[int, Type]] = []  # where each operand begins, and its type
    frames = [_Frame(0, -1, [], 0, found.statements[0])]
    for at, one in enumerate(instructions):
        frame = frames[-1]
        if one.op in LABELLED:
            params, results = _block_type(one.args[0] if one.args else None)
            begin, _ = _take(stack, frame, params + (one.op == "if"), at)
            found.statements.append([])
            frames.append(_Frame(begin, at, results, len(stack), found.statements[-1]))
            stack += [(at + 1, None)] * params
            continue
        if one.op in ("else", "catch", "catch_all", "delegate"):
            del stack[frame.height :]
            frame.over = False
            continue
        if one.op == "end":
            if len(frames) == 1:
                break
            del stack[frame.height :]
            frames.pop()
            if instructions[frame.at].op in ("block", "loop"):
                found.blocks.append((frame.at, at))
            _leave(found, frames[-1], stack, range(frame.begin, at + 1), frame.results, [])
            continue
        effect = _effect(function, one, variables)
        if effect is None or frame.over:
            frame.over = True  # until the block ends
            continue
        taken, left = effect
        begin, parts = _take(stack, frame, taken, at)
        _leave(found, frame, stack, range(begin, at + 1), left, parts)
        if one.op in ENDS:
            del stack[frame.height :]
            frame.over = True
    return found


def _take(stack: list[tuple[int, Type]], frame: _Frame, count: int, at: int) -> tuple[int, list[tuple[range, Type]]]:
    """Pops operands; where the first begins, and the range of each."""
    begin, stop, parts = at, at, []
    for _ in range(count):
        if len(stack) <= frame.height:
            break
        begin, t = stack.pop()
        parts.append((range(begin, stop), t))
        stop = begin
    return begin, parts


def _leave(
    found: Trees,
    frame: _Frame,
    stack: list[tuple[int, Type]],
    whole: range,
    left: list[Type],
    parts: list[tuple[range, Type]],
) -> None:
    if not left:
        frame.statements.append(whole)
    elif len(left) == 1:
        found.operands.append((whole, left[0], parts))
    stack += [(whole.start, t) for t in left]


def _variables(function: Function) -> list[ValType]:
    return [*function.signature.params, *function.code.locals]


def _block_type(t: BlockType) -> tuple[int, list[Type]]:
    """How many parameters a block has, and its results."""
    if t is None:
        return 0, []
    if isinstance(t, TypeDef):
        assert isinstance(t.shape, FuncType)
        return len(t.shape.params), list(t.shape.results)
    return 0, [t]


def _effect(function: Function, one: Instruction, variables: list[ValType]) -> Effect | None:
    """What an instruction does to the stack; None if that is not known here."""
    op, args = one.op, one.args
    prefix, _, rest = op.partition(".")
    match op:
        case "local.get":
            return 0, [variables[args[0]]]
        case "local.set" | "global.set":
            return 1, []
        case "local.tee":
            return 1, [variables[args[0]]]
        case "global.get":
            return 0, [args[0].type]
        case "call":
            signature = args[0].signature
            return len(signature.params), list(signature.results)
        case "call_indirect":
            shape: Any = next(arg for arg in args if isinstance(arg, TypeDef)).shape
            return len(shape.params) + 1, list(shape.results)
        case "select":
            return 3, [args[0][0] if args and args[0] else None]
        case "unreachable":
            return 0, []
        case "return":
            return len(function.signature.results), []
        case "br" | "br_table" | "throw" | "rethrow" | "throw_ref" | "return_call":
            return 0, []
        case "memory.size" | "table.size":
            return 0, [I32]
        case "memory.grow":
            return 1, [I32]
        case _ if op in FIXED:
            taken, left = FIXED[op]
            return taken, [None] * left
    if "x" in prefix or prefix in TYPES:
        return _numeric(prefix, rest)
    return None


def _numeric(prefix: str, rest: str) -> Effect | None:
    t = TYPES.get(prefix, V128)
    if rest == "const":
        return 0, [t]
    if "atomic" in rest:
        return None
    if rest.startswith("load"):
        return (2 if rest.endswith("_lane") else 1), [t]
    if rest.startswith("store"):
        return 2, []
    if rest == "bitselect" or "madd" in rest:
        return 3, [V128]
    scalar = prefix in TYPES and prefix != "v128"
    if scalar and rest.split("_")[0] in COMPARISONS:
        return (1 if rest == "eqz" else 2), [I32]
    if rest.startswith(UNARY):
        return 1, [t if scalar else None]
    return 2, [t]


def zero(t: Type) -> Instruction | None:
    """The constant 0 of a type, if it is a number."""
    if isinstance(t, NumType) and t is not V128:
        return Instruction(f"{t.value}.const", (0,))
    return None
