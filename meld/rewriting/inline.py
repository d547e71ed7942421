"""Inlining: the body of a function in place of a call of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meld.ir.instructions import Code, Instruction
from meld.ir.module import CLOSING, LABELLED, Function
from meld.ir.types import I32, I64, FuncType, NumType, TypeDef, ValType

LOCAL_OPS = frozenset({"local.get", "local.set", "local.tee"})
JUMPS = frozenset({"br", "br_if", "br_table", "return"})
ZEROS = (I32, I64)
"""Types of locals for which inlined code makes zeros."""
TAIL_CALLS = frozenset({"return_call", "return_call_indirect", "return_call_ref"})


def inline_calls(
    caller: Function, wanted: Callable[[Function], bool], type_of: Callable[..., TypeDef], *, loops: bool = False
) -> int:
    """Inlines the calls of the functions that are `wanted`; returns their number.

    Calls of imports stay, and those of functions that make tail calls.

    Args:
        type_of: gives the type of a block with more than one result, by these.
        loops: whether calls in loops are inlined, too: the locals of the callee have to become zero there each time.
    """
    code = caller.code
    out: list[Instruction] = []
    opened: list[str] = []
    inlined = 0
    for instruction in code.instructions:
        if instruction.op in LABELLED:
            opened.append(instruction.op)
        elif instruction.op in CLOSING:
            opened.pop()
        body = None
        inside = "loop" in opened
        if instruction.op == "call" and (loops or not inside) and wanted(callee := instruction.args[0]):
            body = _body_of(callee, inside)
        if body is None:
            out.append(instruction)
            continue
        params = callee.signature.params
        first = len(caller.signature.params) + len(code.locals)
        out += [Instruction("local.set", (first + number,)) for number in reversed(range(len(params)))]
        if inside:
            for number, core in _zeros(body, len(params)):
                out += [Instruction(f"{core.value}.const", (0,)), Instruction("local.set", (first + number,))]
        out += [
            Instruction("block", (_block_type(callee.signature, type_of),)),
            *_moved(body, first),
            Instruction("end"),
        ]
        code.locals += [*params, *body.locals]
        caller.local_names = {**caller.local_names, **{first + n: text for n, text in callee.local_names.items()}}
        inlined += 1
    code.instructions = out
    return inlined


def _body_of(callee: Function, inside: bool) -> Code | None:
    """The body, if it can stand in another function; `inside` a loop."""
    body = None if callee.body is None else callee.view()
    if body is None or any(i.op in TAIL_CALLS for i in body.instructions):
        return None
    return None if inside and any(t not in ZEROS for t in body.locals) else body


def _zeros(body: Code, params: int) -> list[tuple[int, NumType]]:
    """The locals that may be read before they are set, with their types."""
    set_first: set[int] = set()
    read: set[int] = set()
    for instruction in body.instructions:
        if instruction.op in LABELLED or instruction.op in CLOSING or instruction.op in JUMPS:
            break
        if instruction.op == "local.get":
            read.add(instruction.args[0])
        elif instruction.op in LOCAL_OPS and instruction.args[0] not in read:
            set_first.add(instruction.args[0])
    return [(n, t) for n, t in enumerate(body.locals, params) if n not in set_first and isinstance(t, NumType)]


def _moved(body: Code, first: int) -> Iterator[Instruction]:
    """The instructions of a body within a block: its locals count from `first`, and it returns to the block's end."""
    depth = 0
    for instruction in body.instructions:
        op, args = instruction.op, instruction.args
        if op in LABELLED:
            depth += 1
        elif op in CLOSING:
            depth -= 1
        elif op in LOCAL_OPS:
            args = (first + args[0],)
        elif op == "return":
            op, args = "br", (depth,)
        yield Instruction(op, args, label=instruction.label, notes=instruction.notes)


def _block_type(signature: FuncType, type_of: Callable[..., TypeDef]) -> TypeDef | ValType | None:
    results = signature.results
    return type_of(*results) if len(results) > 1 else results[0] if results else None
