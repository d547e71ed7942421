"""What the engine says of a program: its validation, with the place told in terms of the program, not of the binary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import wasmtime

from meld.binary.places import instruction_at
from meld.binary.validation import MISSING, OFFSET, bodies
from meld.diagnostics import MeldError
from meld.files import encode
from meld.ir.component import Component, CoreModule, NestedComponent
from meld.ir.module import Function, Module
from meld.passes.base import Program
from meld.runtime.instantiate import engine
from meld.text.literals import identifier
from meld.verify.problem import Problem
from meld.verify.program import verify


def engine_problems(program: Program, data: bytes | None = None) -> list[Problem]:
    """What the engine does not validate: the first thing of each core module, then of the component around them.

    A program that cannot be encoded is not consistent (`meld.verify.module` says where); it has one problem here.

    Args:
        data: the binary of the program, if it is known.
    """
    if isinstance(program, Module):
        problem = _module_problem(program, "", data)
        return [] if problem is None else [problem]
    return list(_inner_problems(program)) or list(_component_problem(program, data))


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


def _component_problem(component: Component, data: bytes | None) -> Iterator[Problem]:
    from wasmtime.component import Component as Compiled

    try:
        data = encode(component) if data is None else data
    except MeldError as e:
        yield _not_encoded(e, "")
        return
    said = _refusal(lambda: Compiled(component_engine(), data))
    if said is not None:
        yield Problem(OFFSET.sub("", said))


def _module_problem(module: Module, where: str, data: bytes | None = None) -> Problem | None:
    try:
        data = encode(module) if data is None else data
    except MeldError as e:
        return _not_encoded(e, where)
    said = _refusal(lambda: wasmtime.Module.validate(engine(), data))
    return None if said is None else _placed(module, data, said, where)


def _not_encoded(e: MeldError, where: str) -> Problem:
    return Problem(e.message, where + (e.where or ""), span=e.span, hint=e.hint)


def _refusal(validate: Callable[[], object]) -> str | None:
    """Why the engine refuses a binary; None if it does not, or only since it lacks a feature."""
    try:
        validate()
    except wasmtime.WasmtimeError as e:
        return None if MISSING.search(str(e)) else " ".join(str(e).rpartition("Caused by:")[2].split())
    return None


def _placed(module: Module, data: bytes, text: str, where: str) -> Problem:
    """The problem that an offset in a binary stands for: its function and its instruction."""
    match = OFFSET.search(text)
    message = OFFSET.sub("", text)
    if match is None:
        return Problem(message, where.rstrip(", "))
    offset = int(match[1], 16)
    for number, (function, (start, end)) in enumerate(zip(module.functions, bodies(data), strict=False)):
        if start <= offset < end:
            first = sum(isinstance(item, Function) for item in module.imports)
            name = identifier(function.name) if function.name else first + number
            at = instruction_at(module, function, offset - start)
            span = function.span if at is None else function.view().instructions[at].span or function.span
            return Problem(message, f"{where}function {name}", function, at, span)
    return Problem(message, f"{where}offset {offset:#x} of the binary")


def fault_of(program: Program, data: bytes | None = None) -> MeldError | None:
    """What is wrong with a program by our own rules, or by the engine's; None if nothing is. `data` is its binary."""
    return _first(program, lambda: engine_problems(program, data))


def leftover_fault(program: Program) -> MeldError | None:
    """As `fault_of`; but of a composition, which the engine would compile, it validates the core modules only."""
    if isinstance(program, Module):
        return fault_of(program)

    def inner() -> list[Problem]:
        encode(program)
        return list(_inner_problems(program))

    return _first(program, inner)


def _first(program: Program, engine_finds: Callable[[], list[Problem]]) -> MeldError | None:
    """The first problem by our own rules, or else by those of the engine."""
    problems = verify(program)
    try:
        problems = problems or engine_finds()
    except MeldError as e:
        return e
    except Exception as e:  # objects that a pass made, of whatever kind
        return MeldError(f"it cannot be encoded: {type(e).__name__}: {e}")
    if not problems:
        return None
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return MeldError(problems[0].message + more, where=problems[0].place or None, hint=problems[0].hint)


@cache
def component_engine() -> wasmtime.Engine:
    """An engine that takes everything that it knows of components, what is still being specified included."""
    from wasmtime import _ffi as ffi

    config = wasmtime.Config()
    for name in ("async", "more_async_builtins", "async_stackful", "threading", "error_context", "map", "implements"):
        switch = getattr(ffi, f"wasmtime_config_wasm_component_model_{name}_set", None)
        if switch is not None:
            switch(config.ptr(), True)
    for name in ("multi_memory", "memory64", "exceptions", "gc", "function_references", "tail_call"):
        setattr(config, f"wasm_{name}", True)
    return wasmtime.Engine(config)
