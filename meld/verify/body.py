"""The verifier of instructions: immediates of the right kind, balanced blocks, references into the module.

Operand types are left to the engine, whose validation is complete; what it cannot tell is which object is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from meld.ir.instructions import Catch, Handler, IndexOf, Instruction, MemArg, references
from meld.ir.module import CLOSING, LABELLED, DataSegment, ElementSegment, Function, Global, Memory, Table, Tag
from meld.ir.nesting import DIVIDING, follow
from meld.ir.opcodes import OPS, Imm
from meld.ir.types import AbstractHeap, NumType, RefType, TypeDef

Found = tuple[int, str, Any]
"""The number of the instruction; what is wrong, with ``%`` for the object; the object, if it is about one."""


def _is(*classes: type[Any]) -> Callable[[Any], bool]:
    return lambda arg: isinstance(arg, classes)


def _count(arg: Any) -> bool:
    return isinstance(arg, int) and arg >= 0


def _all(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda arg: isinstance(arg, tuple) and all(map(check, arg))


_VALTYPE = _is(NumType, RefType)

_FITS: dict[Imm, Callable[[Any], bool]] = {
    Imm.BLOCK: lambda arg: arg is None or isinstance(arg, NumType | RefType | TypeDef),
    Imm.LABELS: lambda arg: _all(_count)(arg) and bool(arg),
    Imm.FUNC: _is(Function),
    Imm.TYPE: _is(TypeDef),
    Imm.TABLE: _is(Table),
    Imm.MEMORY: _is(Memory),
    Imm.GLOBAL: _is(Global),
    Imm.TAG: _is(Tag),
    Imm.ELEM: _is(ElementSegment),
    Imm.DATA: _is(DataSegment),
    Imm.MEMARG: lambda arg: isinstance(arg, MemArg) and _count(arg.align) and _count(arg.offset),
    Imm.I32: _is(int, IndexOf),
    Imm.I64: _is(int),
    Imm.LANES: lambda arg: _all(_count)(arg) and len(arg) == 16,
    Imm.HEAP: _is(AbstractHeap, TypeDef),
    Imm.REF: _is(RefType),
    Imm.RESULTS: _all(_VALTYPE),
    Imm.CATCHES: _all(_is(Catch)),
    Imm.HANDLERS: _all(_is(Handler)),
    **dict.fromkeys((Imm.LABEL, Imm.LOCAL, Imm.FIELD, Imm.COUNT, Imm.F32, Imm.F64, Imm.V128, Imm.LANE), _count),
}
_STRUCTURE = frozenset({*LABELLED, *CLOSING, *DIVIDING})
_OPTIONAL = frozenset({"select", "atomic.fence"})
"""Instructions that may go without their immediates."""


def body_problems(instructions: list[Instruction], variables: int, live: Collection[Any]) -> Iterator[Found]:
    """What is wrong with a body or a constant expression.

    Args:
        variables: how many parameters and locals there are.
        live: the types, items and segments of the module.
    """
    blocks: list[tuple[int, str]] = []
    for number, instruction in enumerate(instructions):
        op = OPS.get(instruction.op)
        if op is None:
            yield number, f"unknown instruction `{instruction.op}`", None
            continue
        args = instruction.args
        if op.name not in _STRUCTURE and _is_right(op.imms, args, variables, len(blocks)):
            continue
        wrong = _misfit(op.name, op.imms, args)
        if wrong is not None:
            yield number, wrong, None
            continue
        if args:
            for used in references(instruction):
                target = used.heap if isinstance(used, RefType) else used
                if not isinstance(target, NumType | AbstractHeap) and target not in live:
                    yield number, f"`{op.name}` refers to %, which is not in the module", target
            yield from ((number, message, None) for message in _out_of_range(op.imms, args, variables, len(blocks)))
        if (wrong := follow(op.name, number, blocks)) is not None:
            yield number, wrong, None
    for number, opener in blocks:
        yield number, f"this `{opener}` has no `end`", None


def _is_right(imms: tuple[Imm, ...], args: tuple[Any, ...], variables: int, depth: int) -> bool:
    """Whether an instruction is right for sure: without immediates, or with one number in range, as most are."""
    if len(args) != len(imms) or len(imms) > 1:
        return False
    if not imms:
        return True
    arg = args[0]
    if type(arg) is not int:
        return False
    match imms[0]:
        case Imm.I32 | Imm.I64:
            return True
        case Imm.LOCAL:
            return 0 <= arg < variables
        case Imm.LABEL:
            return 0 <= arg <= depth
        case _:
            return False


def _misfit(name: str, imms: tuple[Imm, ...], args: tuple[Any, ...]) -> str | None:
    if not args and name in _OPTIONAL:
        return None
    if imms == (Imm.FENCE,):
        return None
    if len(args) != len(imms):
        return f"`{name}` takes {len(imms)} immediates, not {len(args)}"
    for imm, arg in zip(imms, args, strict=True):
        if not _FITS[imm](arg):
            return f"`{name}` does not take {_shown(arg)} as its {imm.name.lower()}"
    return None


def _shown(arg: Any) -> str:
    return f"`{arg}`" if isinstance(arg, int | str) else f"a {type(arg).__name__}"


def _out_of_range(imms: tuple[Imm, ...], args: tuple[Any, ...], variables: int, depth: int) -> Iterator[str]:
    """Locals and labels that do not exist. The function itself is a label too."""
    for imm, arg in zip(imms, args, strict=True):
        labels: tuple[int, ...] = ()
        match imm:
            case Imm.LOCAL if arg >= variables:
                yield f"there is no local {arg}: there are {variables}"
            case Imm.LABEL:
                labels = (arg,)
            case Imm.LABELS:
                labels = arg
            case Imm.CATCHES:
                labels = tuple(catch.label for catch in arg)
            case Imm.HANDLERS:
                labels = tuple(handler.label for handler in arg if handler.label is not None)
        for label in labels:
            if label > depth:
                yield f"there is no label {label}: {depth} blocks are open"
