"""Inlining: the body of a function in place of a call of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from meld.ir.instructions import Code, Instruction
from meld.ir.module import CLOSING, LABELLED, Function
from meld.ir.types import I32, I64, V128, FuncType, NumType, TypeDef, ValType
from meld.rewriting.labels import RESUMING

LOCAL_OPS = frozenset({"local.get", "local.set", "local.tee"})
PUSHES = frozenset({"local.get", "i32.const", "i64.const"})
JUMPS = frozenset({"br", "br_if", "br_table", "return"})
ZEROS = (I32, I64, V128)
"""Types of locals for which inlined code makes zeros."""
TAIL_CALLS = frozenset({"return_call", "return_call_indirect", "return_call_ref"})


def inline_calls(
    caller: Function, wanted: Callable[[Function], bool], type_of: Callable[..., TypeDef], *, tight: bool = False
) -> int:
    """Inlines the calls of the functions that are `wanted`; returns their number.

    Calls of imports stay, and those of functions that make tail calls.

    Args:
        type_of: gives the type of a block with more than one result, by these.
        tight: whether calls in loops are inlined, too, where the locals of the callee have to become zero each time;
            and arguments that are constants or locals stand in place of parameters, a block only where it is needed.
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
        if instruction.op == "call" and (tight or not inside) and wanted(callee := instruction.args[0]):
            body = _body_of(callee, inside)
        if body is None:
            out.append(instruction)
            continue
        given = _arguments(out, body, len(callee.signature.params)) if tight else {}
        places = _places(caller, callee, body, given)
        out += [
            Instruction("local.set", (places[n],)) for n in reversed(range(len(callee.signature.params))) if n in places
        ]
        if inside:
            for number, core in _zeros(body, len(callee.signature.params)):
                out += [Instruction(f"{core.value}.const", (0,)), Instruction("local.set", (places[number],))]
        moved = _moved(body, places, given)
        if tight and not _leaves(body):
            out += moved
        else:
            out += [Instruction("block", (_block_type(callee.signature, type_of),)), *moved, Instruction("end")]
        inlined += 1
    code.instructions = out
    return inlined


def _arguments(out: list[Instruction], body: Code, params: int) -> dict[int, Instruction]:
    """Takes the arguments off that are constants or locals, the last ones, if the body never sets the parameter."""
    changed = {i.args[0] for i in body.instructions if i.op in ("local.set", "local.tee")}
    given: dict[int, Instruction] = {}
    while params and out and out[-1].op in PUSHES and params - 1 not in changed:
        params -= 1
        given[params] = out.pop()
    return given


def _places(caller: Function, callee: Function, body: Code, given: dict[int, Instruction]) -> dict[int, int]:
    """Adds the locals of the callee to the caller; their new numbers."""
    code = caller.code
    first = len(caller.signature.params) + len(code.locals)
    added = [(n, t) for n, t in enumerate([*callee.signature.params, *body.locals]) if n not in given]
    places = {n: first + at for at, (n, _) in enumerate(added)}
    code.locals += [t for _, t in added]
    names = {places[n]: text for n, text in callee.local_names.items() if n in places}
    caller.local_names = {**caller.local_names, **names}
    return places


def _leaves(body: Code) -> bool:
    """Whether a body jumps to its own end."""
    depth = 0
    for instruction in body.instructions:
        if instruction.op in ("return", "try_table") or instruction.op in RESUMING:
            return True
        if instruction.op in LABELLED:
            depth += 1
        elif instruction.op in CLOSING:
            depth -= 1
        elif instruction.op in JUMPS and depth in _targets(instruction):
            return True
    return False


def _targets(jump: Instruction) -> Iterable[object]:
    return jump.args[0] if jump.op == "br_table" and isinstance(jump.args[0], tuple) else jump.args


def _body_of(callee: Function, inside: bool) -> Code | None:
    """The body, if it can stand in another function; `inside` a loop."""
    body = None if callee.body is None else callee.decoded()
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


def _moved(body: Code, places: dict[int, int], given: dict[int, Instruction]) -> Iterator[Instruction]:
    """The instructions of a body that stands elsewhere: with its locals at new places, it returns to a block's end."""
    depth = 0
    for instruction in body.instructions:
        op, args = instruction.op, instruction.args
        if op in LABELLED:
            depth += 1
        elif op in CLOSING:
            depth -= 1
        elif op in LOCAL_OPS:
            if args[0] in given:
                yield given[args[0]]
                continue
            args = (places[args[0]],)
        elif op == "return":
            op, args = "br", (depth,)
        yield Instruction(op, args, label=instruction.label, notes=instruction.notes)


def _block_type(signature: FuncType, type_of: Callable[..., TypeDef]) -> TypeDef | ValType | None:
    results = signature.results
    return type_of(*results) if len(results) > 1 else results[0] if results else None
