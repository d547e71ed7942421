"""Passes that do one wrong thing in one function among a thousand. A plugin of tests.

Each asks leave for each function, and does something harmless in one of twenty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from meld import Module, Pass, PassContext
from meld.ir.instructions import Instruction, MemArg
from meld.ir.module import Function

EVERY = 20


class Tidy(Pass):
    """Does what nobody can observe."""

    name = "tidy"
    repeatable = True

    def run(self, module: Module, cx: PassContext) -> None:
        for number, function in enumerate(module.functions):
            if cx.allows("tidy", function) and number % EVERY == 0:
                function.instructions.insert(0, Instruction("nop"))


class Seeded(Pass):
    """Base of the wrong ones, which pretend to simplify."""

    victim: ClassVar[int]
    wrong: ClassVar[Callable[[Module, Function], None]]

    def run(self, module: Module, cx: PassContext) -> None:
        for number, function in enumerate(module.functions):
            with cx.rewrite("simplify", function) as go:
                if go and function.name == f"f{self.victim}":
                    type(self).wrong(module, function)
                elif go and number % EVERY == 0:
                    function.instructions.append(Instruction("nop"))


def find(function: Function, op: str) -> int:
    return next(at for at, one in enumerate(function.instructions) if one.op == op)


def wrong_constant(module: Module, function: Function) -> None:
    """The number that is added is one too large."""
    at = find(function, "call") - 1
    function.instructions[at] = Instruction("i32.const", (function.instructions[at].args[0] + 1,))


def swapped_arguments(module: Module, function: Function) -> None:
    """A subtraction the other way round."""
    at = find(function, "i32.sub")
    code = function.instructions
    code[at - 3 : at] = [code[at - 1], code[at - 3], code[at - 2]]


def dropped_store(module: Module, function: Function) -> None:
    """Nothing is stored."""
    at = find(function, "i32.store")
    function.instructions[at : at + 1] = [Instruction("drop"), Instruction("drop")]


def wrong_callee(module: Module, function: Function) -> None:
    """Another function of the same type is called."""
    at = find(function, "call")
    other = next(f for f in module.functions if f.name == "minus")
    function.instructions[at] = Instruction("call", (other,))


def wrong_memory(module: Module, function: Function) -> None:
    """It is loaded from the other memory."""
    at = find(function, "i32.load")
    memarg = function.instructions[at].args[0]
    other = next(m for m in module.memories if m is not memarg.memory)
    function.instructions[at] = Instruction("i32.load", (MemArg(memarg.align, memarg.offset, other),))


class WrongConstant(Seeded):
    """Simplify constants."""

    name = "wrong-constant"
    victim = 618
    wrong = wrong_constant


class SwappedArguments(Seeded):
    """Simplify arithmetic."""

    name = "swapped-arguments"
    victim = 77
    wrong = swapped_arguments


class DroppedStore(Seeded):
    """Simplify stores."""

    name = "dropped-store"
    victim = 905
    wrong = dropped_store


class WrongCallee(Seeded):
    """Simplify calls."""

    name = "wrong-callee"
    victim = 333
    wrong = wrong_callee


class WrongMemory(Seeded):
    """Simplify loads."""

    name = "wrong-memory"
    victim = 444
    wrong = wrong_memory


SEEDED = [WrongConstant, SwappedArguments, DroppedStore, WrongCallee, WrongMemory]

COUNT = 1000
"""Functions of `program`."""


def program() -> str:
    """A thousand functions, and tests of them: `test` traps if one of them does the wrong thing.

    Each computes ``x - y`` and something, by way of the first memory.
    """
    functions = "\n".join(
        f"""  (func $f{n} (param $x i32) (param $y i32) (result i32)
    (i32.store $main (i32.const {4 * n}) (local.get $x))
    (call $plus (i32.sub (i32.load $main (i32.const {4 * n})) (local.get $y)) (i32.const {n % 7})))"""
        for n in range(COUNT)
    )
    tests = "\n".join(
        f"  (func $test{group}\n"
        + "\n".join(
            f"    (call $check (call $f{n} (i32.const {n + 9}) (i32.const 4)) (i32.const {n + 9 - 4 + n % 7}))"
            for n in range(group, group + 20)
        )
        + ")"
        for group in range(0, COUNT, 20)
    )
    calls = " ".join(f"(call $test{group})" for group in range(0, COUNT, 20))
    return f"""(module
  (memory $main 1)
  (memory $other 1)
  (func $plus (param $x i32) (param $y i32) (result i32) (i32.add (local.get $x) (local.get $y)))
  (func $minus (param $x i32) (param $y i32) (result i32) (i32.sub (local.get $x) (local.get $y)))
  (func $check (param $got i32) (param $expected i32)
    (if (i32.ne (local.get $got) (local.get $expected)) (then unreachable)))
{functions}
{tests}
  (func (export "test") {calls})
  (func (export "sum") (param $x i32) (result i32)
    {" ".join(f"(local.set $x (call $f{n} (local.get $x) (i32.const {n})))" for n in range(0, COUNT, 50))}
    (local.get $x)))
"""
