"""What reduction tries to take away inside of one body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from meld.faults.reduction.trees import trees, zero
from meld.ir.instructions import Instruction
from meld.ir.module import Function
from meld.support.records import record


@record(frozen=True)
class BodyCut:
    """Something to take away inside the body of the function with that number.

    Attributes:
        groups: what there is: in each group, chunks of neighbours are tried together.
        remove: takes parts of one group away.
    """

    name: str
    groups: Callable[[Function], list[int]]
    remove: Callable[[Function, int, Sequence[int]], None]


def _remove_statements(function: Function, group: int, numbers: Sequence[int]) -> None:
    ranges = trees(function, function.instructions).statements[group]
    _delete(function, [ranges[number] for number in numbers])


def _delete(function: Function, ranges: Sequence[range]) -> None:
    gone = {at for one in ranges for at in one}
    function.instructions[:] = [one for at, one in enumerate(function.instructions) if at not in gone]


def _simplifications(function: Function) -> list[tuple[range, list[Instruction]]]:
    """Operands and something simpler to put in their place: one of their own operands of that type, or 0."""
    code = function.instructions
    found: list[tuple[range, list[Instruction]]] = []
    for whole, t, parts in sorted(trees(function, code).operands, key=lambda one: -len(one[0])):
        if len(whole) == 1 and (code[whole.start].op.endswith(".const") or code[whole.start].op == "local.get"):
            continue
        constant = zero(t)
        if constant is not None:
            found.append((whole, [constant]))
        found += [(whole, code[part.start : part.stop]) for part, own in parts if own is t and t is not None]
        params = [i for i, own in enumerate(function.signature.params) if own is t]
        found += [(whole, [Instruction("local.get", (i,))]) for i in params]
    return found


def _simplify(function: Function, group: int, numbers: Sequence[int]) -> None:
    whole, instead = _simplifications(function)[group]
    function.instructions[whole.start : whole.stop] = instead


def _unwrap(function: Function, group: int, numbers: Sequence[int]) -> None:
    begin, end = trees(function, function.instructions).blocks[group]
    _delete(function, [range(begin, begin + 1), range(end, end + 1)])


def _moves(function: Function) -> list[int]:
    """Where a local is set and read at once."""
    code = function.instructions
    return [
        i for i, (a, b) in enumerate(pairwise(code)) if (a.op, b.op) == ("local.set", "local.get") and a.args == b.args
    ]


def _skip_moves(function: Function, group: int, numbers: Sequence[int]) -> None:
    moves = _moves(function)
    _delete(function, [range(moves[number], moves[number] + 2) for number in numbers])


def _unused_locals(function: Function) -> list[int]:
    count = len(function.signature.params)
    used = {one.args[0] for one in function.instructions if one.op.startswith("local.")}
    return [i for i in range(len(function.code.locals)) if count + i not in used]


def _remove_locals(function: Function, group: int, numbers: Sequence[int]) -> None:
    params = len(function.signature.params)
    unused = _unused_locals(function)
    gone = {unused[number] for number in numbers}
    kept = [i for i in range(len(function.code.locals)) if i not in gone]
    number = {params + old: params + new for new, old in enumerate(kept)}
    for one in function.instructions:
        if one.op.startswith("local."):
            one.args = (number.get(one.args[0], one.args[0]),)
    names = {number.get(i, i): name for i, name in function.local_names.items() if i < params or i in number}
    function.local_names = names
    function.code.locals = [function.code.locals[i] for i in kept]


BODY_CUTS = [
    BodyCut("statements", lambda f: [len(group) for group in trees(f, f.instructions).statements], _remove_statements),
    BodyCut("operands", lambda f: [1] * len(_simplifications(f)), _simplify),
    BodyCut("blocks", lambda f: [1] * len(trees(f, f.instructions).blocks), _unwrap),
    BodyCut("moves", lambda f: [len(_moves(f))], _skip_moves),
    BodyCut("locals", lambda f: [len(_unused_locals(f))], _remove_locals),
]
