"""The order of start work: what instantiation of several modules does, when it is one module that is instantiated."""

from __future__ import annotations

from meld.ir.instructions import Code, Instruction
from meld.ir.module import DataSegment, ElementSegment, Function, Module
from meld.rewriting.splice import Spliced
from meld.support.records import record


@record()
class Instantiation:
    """One core instance: what was spliced for it, in order of instantiation."""

    spliced: Spliced


def order_start(module: Module, events: list[Instantiation]) -> None:
    """Makes the start of `module` do what the instantiations did, in their order.

    Unfused, instance by instance: element segments, data segments, start function. Fused, all active segments come
    before the start function. So what comes after the first start function moves into a start wrapper: those segments
    become passive, and are written by it.
    """
    first = next((i for i, event in enumerate(events) if event.spliced.start), None)
    if first is None:
        return
    if not any(_work(event.spliced) for event in events[first + 1 :]):
        module.start = events[first].spliced.start
        return
    code: list[Instruction] = [Instruction("call", (events[first].spliced.start,))]
    for event in events[first + 1 :]:
        for element in event.spliced.elements:
            code += _write_elements(element)
        for data in event.spliced.datas:
            code += _write_data(data)
        if event.spliced.start:
            code.append(Instruction("call", (event.spliced.start,)))
    wrapper = Function(module.func_type(), Code([], code), name="start", synthetic="start-wrapper")
    module.functions.append(wrapper)
    module.start = wrapper


def _work(spliced: Spliced) -> bool:
    active = any(e.table for e in spliced.elements) or any(d.memory for d in spliced.datas)
    return active or spliced.start is not None


def _write_elements(segment: ElementSegment) -> list[Instruction]:
    if segment.table is None:
        return []
    count = len(segment.functions if segment.functions is not None else segment.expressions or ())
    code = [
        *(segment.offset or ()),
        Instruction("i32.const", (0,)),
        Instruction("i32.const", (count,)),
        Instruction("table.init", (segment.table, segment)),
        Instruction("elem.drop", (segment,)),
    ]
    segment.table = segment.offset = None
    segment.explicit_table = False
    return code


def _write_data(segment: DataSegment) -> list[Instruction]:
    if segment.memory is None:
        return []
    code = [
        *(segment.offset or ()),
        Instruction("i32.const", (0,)),
        Instruction("i32.const", (len(segment.data),)),
        Instruction("memory.init", (segment.memory, segment)),
        Instruction("data.drop", (segment,)),
    ]
    segment.memory = segment.offset = None
    segment.explicit_memory = False
    return code
