"""The pass `mul-to-shift` of meldc."""

from itertools import pairwise

from meld import Instruction, Module, Pass, PassContext, option


class MulToShift(Pass):
    """Replace multiplications by powers of two by shifts.

    Only where the constant stands right in front of `i32.mul`.
    """

    name = "mul-to-shift"
    requires = frozenset({"merged"})
    before = ("finish",)
    largest: int = option(31, "the largest shift that is used")

    def run(self, module: Module, cx: PassContext) -> None:
        for function in module.functions:
            for at in self.places(function.view().instructions):
                with cx.rewrite("shift", function) as go:
                    if go:
                        (factor,) = function.instructions[at].args
                        function.instructions[at] = Instruction("i32.const", (shift_of(factor),))
                        function.instructions[at + 1] = Instruction("i32.shl")
                        cx.stats["shifts"] += 1

    def places(self, code: list[Instruction]) -> list[int]:
        """Where a constant that is a power of two stands in front of `i32.mul`."""
        return [
            at
            for at, (first, second) in enumerate(pairwise(code))
            if (first.op, second.op) == ("i32.const", "i32.mul") and 0 <= shift_of(first.args[0]) <= self.largest
        ]


def shift_of(factor: object) -> int:
    """n if the factor is the power 2**n, −1 if it is none. Constants are signed: 2**31 is −2**31."""
    if not isinstance(factor, int):  # the index of a memory, which is not known before the module is encoded
        return -1
    bits = factor & 0xFFFFFFFF
    return bits.bit_length() - 1 if bits.bit_count() == 1 else -1
