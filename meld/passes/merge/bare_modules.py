"""The `mem` argument of host intrinsics: a guest numbers its own memories, the host those of the module.

Each instance calls such an intrinsic through a shim that maps the one to the other. The merged number is an `IndexOf`:
it is fixed when the module is encoded, so no pass can make it wrong. A number that is none of the guest's memories
becomes −1, which the host refuses.
"""

from __future__ import annotations

from meld.abi.intrinsics import Intrinsic
from meld.ir.instructions import Code, IndexOf, Instruction
from meld.ir.module import CoreItem, Function, Memory

KIND = "adapter-shim"


def memory_shim(host: CoreItem) -> Function:
    """The shim in front of a host intrinsic, still without a body."""
    assert isinstance(host, Function)
    return Function(host.type, Code(), name=f"{host.name}.mem", synthetic=KIND)


def fill_memory_shim(shim: Function, host: CoreItem, intrinsic: Intrinsic, memories: list[Memory]) -> None:
    """Gives the shim its body; `memories` are the guest's, in the guest's order."""
    mapped = [Instruction("i32.const", (-1,))]
    for number, memory in enumerate(memories):
        mapped = [
            Instruction("i32.const", (IndexOf(memory),)),
            *mapped,
            Instruction("local.get", (intrinsic.mem,)),
            Instruction("i32.const", (number,)),
            Instruction("i32.eq"),
            Instruction("select"),
        ]
    code: list[Instruction] = []
    for i in range(len(shim.signature.params)):
        code += mapped if i == intrinsic.mem else [Instruction("local.get", (i,))]
    shim.body = Code([], [*code, Instruction("call", (host,))])
