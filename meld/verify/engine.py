"""What the engine says of a program: its validation, with the place told in terms of the program, not of the binary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import wasmtime

from meld.binary.cursor import Cursor
from meld.binary.encode import Encoder
from meld.binary.validation import MISSING
from meld.binary.writer import write_module
from meld.diagnostics import MeldError
from meld.files import encode
from meld.ir.component import Component, CoreModule, NestedComponent
from meld.ir.module import Function, Module
from meld.ir.numbering import Numbering
from meld.passes.base import Program
from meld.runtime.instantiate import engine
from meld.text.literals import identifier
from meld.verify.problem import Problem
from meld.verify.program import verify

if TYPE_CHECKING:
    import wasmtime

_OFFSET = re.compile(r"\s*\(at offset 0x([0-9a-f]+)\)\s*$")


def engine_problems(program: Component | Module) -> list[Problem]:
    """What the engine does not validate: the first thing of each core module, then of the component around them.

    A program that cannot be encoded is not consistent (`meld.verify.module` says where); it has one problem here.
    """
    if isinstance(program, Module):
        problem = _module_problem(program, "")
        return [] if problem is None else [problem]
    found = list(_inner_problems(program))
    return found or list(_component_problem(program))


def _inner_problems(component: Component) -> Iterator[Problem]:
    pending = [(component, "")]
    while pending:
        current, where = pending.pop()
        for number, item in enumerate(current.definitions):
            name = identifier(item.name) if item.name else str(number)
            match item:
                case NestedComponent(component=nested):
                    pending.append((nested, f"{where}component {name}, "))
                case CoreModule(module=module):
                    problem = _module_problem(module, f"{where}core module {name}, ")
                    if problem is not None:
                        yield problem


def _component_problem(component: Component) -> Iterator[Problem]:
    from wasmtime.component import Component as Compiled

    from meld.binary.component.writer import write_component

    try:
        Compiled(component_engine(), write_component(component))
    except MeldError as e:
        yield Problem(e.message, e.where or "", span=e.span)
    except wasmtime.WasmtimeError as e:
        message = _OFFSET.sub("", str(e).rpartition("Caused by:")[2].strip())
        if not MISSING.search(message):
            yield Problem(message)


def _module_problem(module: Module, where: str) -> Problem | None:
    try:
        data = write_module(module)
    except MeldError as e:
        return Problem(e.message, where + (e.where or "") or "", span=e.span)
    try:
        wasmtime.Module.validate(engine(), data)
    except wasmtime.WasmtimeError as e:
        return None if MISSING.search(str(e)) else _placed(module, data, str(e), where)
    return None


def _placed(module: Module, data: bytes, text: str, where: str) -> Problem:
    """The problem that an offset in a binary stands for: its function and its instruction."""
    match = _OFFSET.search(text)
    message = _OFFSET.sub("", text)
    if match is None:
        return Problem(message, where.rstrip(", "))
    offset = int(match[1], 16)
    for number, (function, (start, end)) in enumerate(zip(module.functions, _bodies(data), strict=False)):
        if start <= offset < end:
            first = sum(isinstance(item, Function) for item in module.imports)
            name = identifier(function.name) if function.name else first + number
            at = _instruction(module, function, offset - start)
            span = function.span if at is None else function.view().instructions[at].span or function.span
            return Problem(message, f"{where}function {name}", function, at, span)
    return Problem(message, f"{where}offset {offset:#x} of the binary")


def _bodies(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the bodies of a binary start, behind their sizes, and end."""
    cursor = Cursor(data, start=8)
    while cursor.more():
        number = cursor.u8("section")
        section = cursor.sub(cursor.u32("size"), "section")
        if number == 10:
            for _ in range(section.count("functions")):
                body = section.sub(section.u32("size"), "body")
                yield body.pos, body.end


def _instruction(module: Module, function: Function, offset: int) -> int | None:
    """The number of the instruction at an offset of a body; None for the locals and the final `end`."""
    encoder = Encoder(Numbering(module))
    code = function.view()
    position = len(encoder.body(code)) - len(encoder.expression(code.instructions))
    for number, instruction in enumerate(code.instructions):
        size = len(encoder.instruction(instruction))
        if position <= offset < position + size:
            return number
        position += size
    return None


def fault_of(program: Program, data: bytes | None = None) -> MeldError | None:
    """What is wrong with a program by our own rules, or by the engine's; None if nothing is. `data` is its binary."""
    problems = verify(program)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return MeldError(problems[0].message + more, where=problems[0].place or None)
    try:
        data = encode(program) if data is None else data
    except MeldError as e:
        return e
    except Exception as e:  # objects that a pass made, of whatever kind
        return MeldError(f"it cannot be encoded: {type(e).__name__}: {e}")
    return engine_fault(program, data)


def leftover_fault(program: Program) -> MeldError | None:
    """As `fault_of`; but of a composition, which the engine would compile, it validates the core modules only."""
    if isinstance(program, Module):
        return fault_of(program)
    problems = verify(program)
    if not problems:
        try:
            encode(program)
            problems = list(_inner_problems(program))
        except MeldError as e:
            return e
        except Exception as e:  # objects that a pass made, of whatever kind
            return MeldError(f"it cannot be encoded: {type(e).__name__}: {e}")
    return MeldError(problems[0].message, where=problems[0].place or None) if problems else None


def engine_fault(program: Program, data: bytes) -> MeldError | None:
    """What the engine says against the binary of a program, with the function that it names."""
    import re

    import wasmtime
    import wasmtime.component

    from meld.runtime.instantiate import engine

    if isinstance(program, Component):
        try:
            wasmtime.component.Component(component_engine(), data)
        except wasmtime.WasmtimeError as e:
            said = " ".join(str(e).split())
            return None if MISSING.search(said) else MeldError(said)
        return None
    try:
        wasmtime.Module.validate(engine(), data)
    except wasmtime.WasmtimeError as e:
        message = str(e).strip()
        if MISSING.search(message):
            return None
        offset = re.search(r"offset (0x[0-9a-f]+|\d+)", message)
        where = _function_at(program, data, int(offset[1], 0)) if offset else None
        return MeldError(message.splitlines()[-1].strip(" \t0123456789:") or message, where=where)
    return None


@cache
def component_engine() -> wasmtime.Engine:
    """An engine that takes everything that it knows of components, what is still being specified included."""
    import wasmtime
    from wasmtime import _ffi as ffi

    config = wasmtime.Config()
    for name in ("async", "more_async_builtins", "async_stackful", "threading", "error_context", "map", "implements"):
        switch = getattr(ffi, f"wasmtime_config_wasm_component_model_{name}_set", None)
        if switch is not None:
            switch(config.ptr(), True)
    for name in ("multi_memory", "memory64", "exceptions", "gc", "function_references", "tail_call"):
        setattr(config, f"wasm_{name}", True)
    return wasmtime.Engine(config)


def _function_at(module: Module, data: bytes, offset: int) -> str | None:
    """The function whose body is at an offset of the module's binary."""
    for number, (function, (start, end)) in enumerate(zip(module.functions, _bodies(data), strict=False)):
        if start <= offset < end:
            first = sum(isinstance(item, Function) for item in module.imports)
            name = identifier(function.name) if function.name else str(first + number)
            return f"function {name}, byte {offset - start} of its body"
    return None
