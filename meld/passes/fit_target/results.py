"""Several results, for targets whose functions and blocks have one at most.

A generated function with several results returns the first one, and leaves the others in globals, which its callers
read right after the call. In a function with blocks that take parameters or give several results, the operands of all
blocks go through locals: they are stored before the block begins, ends or is branched to, and read behind that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from meld.ir.instructions import BlockType, Instruction
from meld.ir.module import CLOSING, LABELLED, ElementSegment, Function, Global, Module
from meld.ir.types import F32, F64, I32, I64, FuncType, NumType, TypeDef, ValType
from meld.rewriting.labels import RESUMING
from meld.rewriting.liveness import body_uses
from meld.support.records import record

KIND = "target"
_PLAIN = frozenset({I32, I64, F32, F64})
_UNKNOWN = RESUMING | {"try", "try_table", "br_on_null", "br_on_non_null", "br_on_cast", "br_on_cast_fail"}


def lower_results(module: Module) -> int:
    """Lowers the generated functions with several results, or blocks with several operands; returns their number."""
    globals_: dict[tuple[ValType, int], Global] = {}
    fixed = _fixed(module)
    lowered = {
        f: f.signature.results
        for f in module.functions
        if f.synthetic is not None and len(f.signature.results) > 1 and f not in fixed and _can(f)
    }
    count = 0
    for function in module.functions:
        calls = bool(lowered) and any(item in lowered for item in body_uses(function))
        whole = function in lowered or (
            function.synthetic is not None and _has_wide_blocks(function) and _can(function)
        )
        if whole or calls:
            _Body(module, function, lowered, globals_, whole=whole).rewrite()
            count += whole
    for function, results in lowered.items():
        function.type = module.func_type(function.signature.params, results[:1])
    return count


def _fixed(module: Module) -> set[object]:
    """Functions whose type something else knows: those that are exported, or in a table."""
    found: set[object] = {export.item for export in module.exports}
    for element in module.elements:
        found |= set(_functions(element))
    for expression in module.constants():
        found |= {i.args[0] for i in expression if i.op == "ref.func"}
    return found


def _functions(element: ElementSegment) -> Iterable[object]:
    return element.functions or ()


def _can(function: Function) -> bool:
    code = function.view()
    types = [*code.locals, *function.signature.params, *function.signature.results]
    return all(t in _PLAIN for t in types) and not any(i.op in _UNKNOWN for i in code.instructions)


def _has_wide_blocks(function: Function) -> bool:
    return any(i.op in LABELLED and isinstance(i.args[0], TypeDef) for i in function.view().instructions)


def _operands(t: BlockType) -> tuple[tuple[ValType, ...], tuple[ValType, ...]]:
    """Parameters and results of a block."""
    match t:
        case None:
            return (), ()
        case TypeDef(shape=FuncType(params, results)):
            return params, results
        case _:
            assert isinstance(t, NumType)
            return (), (t,)


@record()
class _Block:
    """A block that is open: the locals of its parameters and results, and those that a branch to it sets."""

    op: str
    params: list[int]
    results: list[int]
    has_else: bool = False

    @property
    def target(self) -> list[int]:
        return self.params if self.op == "loop" else self.results


@record()
class _Body:
    """The rewriting of one body.

    Attributes:
        lowered: the functions that give one result from now on, with the types that they gave.
        whole: whether all of the body is rewritten, or only its calls.
    """

    module: Module
    function: Function
    lowered: dict[Function, tuple[ValType, ...]]
    globals: dict[tuple[ValType, int], Global]
    whole: bool
    out: list[Instruction] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)

    def rewrite(self) -> None:
        instructions = self.function.code.instructions
        if self.whole:
            results = self.locals(self.function.signature.results)
            self.blocks.append(_Block("block", [], results))
            self.out.append(Instruction("block", (None,)))
        for i in instructions:
            self.one(i)
        if self.whole:
            self.set(self.blocks[0].results)
            self.out.append(Instruction("end"))
            self.get(self.blocks[0].results)
            self.leave()
        self.function.code.instructions = self.out

    def one(self, i: Instruction) -> None:
        match i:
            case Instruction(op="call", args=(callee,)) if callee in self.lowered:
                self.out.append(i)
                types = self.lowered[callee]
                self.out += [Instruction("global.get", (self.extra(t, n),)) for n, t in enumerate(types[1:])]
            case _ if not self.whole:
                self.out.append(i)
            case Instruction(op=op) if op in LABELLED:
                self.open(i)
            case Instruction(op="else"):
                self.set(self.blocks[-1].results)
                self.out.append(i)
                self.blocks[-1].has_else = True
                self.get(self.blocks[-1].params)
            case Instruction(op=op) if op in CLOSING:
                self.close(i)
            case Instruction(op="br", args=(depth,)):
                self.set(self.blocks[-1 - depth].target)
                self.out.append(i)
            case Instruction(op="br_if", args=(depth,)):
                self.branch(i, [self.blocks[-1 - depth].target])
            case Instruction(op="br_table", args=(depths,)):
                self.branch(i, [self.blocks[-1 - depth].target for depth in depths])
            case Instruction(op="return"):
                self.leave()
                self.out.append(i)
            case _:
                self.out.append(i)

    def open(self, i: Instruction) -> None:
        params, results = _operands(i.args[0])
        block = _Block(i.op, self.locals(params), self.locals(results))
        if i.op == "if" and params:
            (condition,) = self.locals((I32,))
            self.set([condition])
            self.set(block.params)
            self.get([condition])
        else:
            self.set(block.params)
        self.out.append(Instruction(i.op, (None,), i.span, i.label, i.notes, i.place))
        self.blocks.append(block)
        self.get(block.params)

    def close(self, i: Instruction) -> None:
        block = self.blocks[-1]
        self.set(block.results)
        if block.op == "if" and not block.has_else and block.results:
            self.out.append(Instruction("else"))  # what is not taken passes its parameters on
            self.get(block.params)
            self.set(block.results)
        self.blocks.pop()
        self.out.append(i)
        self.get(block.results)

    def branch(self, i: Instruction, targets: list[list[int]]) -> None:
        """A branch by a condition or an index, which lies on top: its operands are set, and stay for what follows."""
        if not any(targets):
            self.out.append(i)
            return
        (chosen,) = self.locals((I32,))
        self.set([chosen])
        self.set(targets[0])
        for others in targets[1:]:
            if others is not targets[0]:
                self.get(targets[0])
                self.set(others)
        self.get([chosen])
        self.out.append(i)
        if i.op == "br_if":
            self.get(targets[0])

    def leave(self) -> None:
        """Puts all results but the first where callers find them."""
        if self.function in self.lowered:
            extras = list(enumerate(self.lowered[self.function][1:]))
            self.out += [Instruction("global.set", (self.extra(t, n),)) for n, t in reversed(extras)]

    def extra(self, t: ValType, number: int) -> Global:
        key = t, number
        if key not in self.globals:
            assert isinstance(t, NumType)
            zero = [Instruction(f"{t.value}.const", (0,))]
            made = Global(t, mutable=True, init=zero, name=f"result.{number + 1}.{t.value}", synthetic=KIND)
            self.globals[key] = made
            self.module.globals.append(made)
        return self.globals[key]

    def locals(self, types: Iterable[ValType]) -> list[int]:
        """New locals of some types."""
        code = self.function.code
        first = len(self.function.signature.params) + len(code.locals)
        added = list(types)
        code.locals += added
        return list(range(first, first + len(added)))

    def set(self, locals_: list[int]) -> None:
        self.out += [Instruction("local.set", (local,)) for local in reversed(locals_)]

    def get(self, locals_: list[int]) -> None:
        self.out += [Instruction("local.get", (local,)) for local in locals_]
