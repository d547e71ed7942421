"""Inlining: the body of a function in place of a call of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meld.ir.instructions import Code, Instruction
from meld.ir.module import CLOSING, LABELLED, Function
from meld.ir.types import FuncType, TypeDef, ValType

LOCAL_OPS = frozenset({"local.get", "local.set", "local.tee"})
TAIL_CALLS = frozenset({"return_call", "return_call_indirect", "return_call_ref"})


def inline_calls(caller: Function, wanted: Callable[[Function], bool], type_of: Callable[..., TypeDef]) -> int:
    """Inlines the calls of the functions that are `wanted`; returns their number.

    `type_of` gives the type of a block with more than one result, by these.

    A call in a loop stays, since the locals of the callee begin as zero each time; so does one of an import, or of a
    function that makes tail calls.
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
        if instruction.op == "call" and "loop" not in opened and wanted(callee := instruction.args[0]):
            body = _body_of(callee)
        if body is None:
            out.append(instruction)
            continue
        params = callee.signature.params
        first = len(caller.signature.params) + len(code.locals)
        out += [Instruction("local.set", (first + number,)) for number in reversed(range(len(params)))]
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


def _body_of(callee: Function) -> Code | None:
    """The body, if it can stand in another function."""
    body = None if callee.body is None else callee.view()
    return None if body is None or any(i.op in TAIL_CALLS for i in body.instructions) else body


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
