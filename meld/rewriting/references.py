"""Declared functions: those that bodies may name in `ref.func`, since something outside of bodies names them.

Source: WebAssembly 3.0, 3.5.12 (context refs): element segments, constant expressions and exports declare.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from meld.binary.bodies import EncodedBody, codes_of
from meld.binary.leb import unsigned
from meld.ir.instructions import IndexSpaces
from meld.ir.module import ElementSegment, Function, Module
from meld.ir.opcodes import OPS
from meld.ir.types import FUNCREF

REF_FUNC = OPS["ref.func"].code
"""Another byte of a body may look the same."""


def declared(module: Module) -> dict[Function, None]:
    """The functions that are declared, in the order of the module."""
    found: dict[Function, None] = {}
    for element in module.elements:
        found.update(dict.fromkeys(element.functions or ()))
    for expression in module.constants():
        found.update((i.args[0], None) for i in expression if i.op == "ref.func")
    found.update(dict.fromkeys(export.item for export in module.exports if isinstance(export.item, Function)))
    return found


def declare(module: Module, functions: Iterable[Function]) -> None:
    """Declares those of some functions that bodies name and that are not declared.

    Others are left out: a segment that declares them would ask for reference types.
    """
    already = declared(module)
    missing = _referred(module, [f for f in functions if f not in already])
    if missing:
        module.elements.append(ElementSegment(type=FUNCREF, functions=missing, declarative=True))


def _referred(module: Module, functions: list[Function]) -> list[Function]:
    """Those of some functions that bodies name in `ref.func`."""
    wanted, found = set(functions), set[Function]()
    codes: dict[IndexSpaces, set[int]] = {}
    for function in module.functions if wanted else ():
        body = function.body
        if isinstance(body, EncodedBody):
            if body.scope not in codes:
                codes[body.scope] = _codes(body, wanted)
            if not codes[body.scope] or codes[body.scope].isdisjoint(body.codes()):
                continue
        found.update(i.args[0] for i in function.view().instructions if i.op == "ref.func")
    return [f for f in functions if f in found]


def _codes(body: EncodedBody, wanted: set[Function]) -> set[int]:
    """The codes of functions over the scope of a body; none if no bytes of its section could name one."""
    indices = [index for index, item in enumerate(body.scope.functions) if item in wanted]
    named = b"|".join(re.escape(leb[:-1]) + _last(leb[-1]) for leb in map(unsigned, indices))
    if not indices or re.search(re.escape(bytes([REF_FUNC])) + b"(?:" + named + b")", body.section.data) is None:
        return set()
    return codes_of(body.scope, "functions", wanted)


def _last(byte: int) -> bytes:
    """The last byte of a number, which may be padded."""
    plain, padded = re.escape(bytes([byte])), re.escape(bytes([byte | 0x80]))
    return b"(?:" + plain + b"|" + padded + b"\\x80*\\x00)"
