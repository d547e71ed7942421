"""`meldc run`: instantiates a module, or fused components, calls an export, prints its results."""

from __future__ import annotations

import math
import signal
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from meld.diagnostics import MeldError
from meld.driver import Options, build
from meld.files import encode, load
from meld.ir.component import Component, CoreModule
from meld.ir.describe import item_type, type_name
from meld.ir.module import KEYWORD_OF, Function, Module
from meld.ir.types import NumType, ValType
from meld.notes.boundaries import HostExport
from meld.passes.base import Program
from meld.runtime.boundaries import Interpreter
from meld.runtime.carried import describe_exports
from meld.runtime.instantiate import WASI_NEEDS, Running, Trapped, instantiate
from meld.runtime.interrupt import TIME_LIMIT, Watch, stoppable
from meld.runtime.typed import call, signature
from meld.runtime.wasi import Surroundings, run_component, run_core, uses_wasi
from meld.runtime.wave import split_call
from meld.support.terminal import say

MERGED = "merge"
"""The pass after which everything between components is still to be interpreted."""

ENTRIES = ("_start", "run")
"""What is called if nothing is named, the first that is there and takes nothing."""


def run_files(
    paths: Sequence[str],
    invoke: Sequence[str],
    *,
    links: Sequence[str] = (),
    stop_after: str | None = None,
    trace_async: bool = False,
    options: Options | None = None,
    surroundings: Surroundings | None = None,
    timeout: float | None = None,
) -> int:
    """Runs a module from a file, or components, which are fused first.

    Args:
        paths: a core module, or components, binary or text.
        invoke: what to call: a component function with its arguments, as one text (``f("a", [1, 2])``); or the name of
            an export and core arguments (numbers as Python writes them, or ``inf``, ``nan``). If empty, `_start` or
            `run` is called, and if there is neither, the exports are listed.
        links: as for ``--link``.
        stop_after: the pass after which components are run, instead of at the end.
        trace_async: whether calls, events and copies between components go to standard error as they happen; these are
            what the interpreter serves, so components are run after `merge` if nothing else is said.
        options: of the compilation; `links` and `stop_after` count beside it.
        surroundings: what a program that uses WASI finds.
        timeout: seconds that it may run; without limit if None.

    Returns:
        The exit code: 0, or 1 if the program trapped; of a program that uses WASI, that with which it ended.

    Raises:
        MeldError: the files are no program that can run, or name and arguments do not fit it.
    """
    options = replace(options or Options(), links=[*(options.links if options else ()), *links])
    options.stop_after = options.stop_after or stop_after
    limit = TIME_LIMIT.get() if timeout is None else timeout
    code = None if trace_async else _run_wasi(paths, invoke, options, surroundings or Surroundings(), limit)
    if code is not None:
        return code
    module = _module(paths, options, MERGED if trace_async else None)
    describe_exports(module)
    return run_module(module, invoke, trace_async=trace_async, limit=limit)


def run_module(module: Module, invoke: Sequence[str], *, trace_async: bool = False, limit: float | None = None) -> int:
    """Runs a module; arguments, what is returned and raised are those of `run_files`.

    Args:
        limit: how many seconds the program may run.
    """
    if trace_async and not Interpreter(module).serves:
        raise MeldError("nothing is left between components that could be watched", where=module.where or None)
    try:
        with _interruptible() if limit is None else stoppable(limit) as watch:
            trace = _trace if trace_async else None
            running = instantiate(module, lenient=True, trace=trace, interruptible=limit is not None)
            return invoke_export(running, invoke)
    except Trapped as trap:
        if watch is not None and watch.over:
            raise MeldError(f"the program runs for more than {limit:g} s") from None
        sys.stdout.flush()
        say(f"meldc: the program trapped: {trap}", error=True)
        for function in trap.backtrace:
            say(f"  in {function}", error=True)
        return 1


def _run_wasi(
    paths: Sequence[str], invoke: Sequence[str], options: Options, surroundings: Surroundings, limit: float | None
) -> int | None:
    """Runs a program that uses WASI; None if it does not, or if a stage of it is asked for."""
    programs = [load(path) for path in paths] if options.stop_after is None else []
    if not any(map(uses_wasi, programs)):
        if surroundings.given:
            _refuse_surroundings(programs)
        return None
    surroundings.name = Path(paths[0]).name
    core: Module | None = None
    if isinstance(programs[0], Module):
        wasm = encode(programs[0])
    else:
        built = build(paths, replace(options, wrap=True)).program
        assert isinstance(built, Component)
        core = max((one.module for one in built.of(CoreModule)), key=lambda m: len(m.functions), default=None)
        wasm = encode(built)
    with _interruptible() if limit is None else stoppable(limit) as watch:
        interruptible = limit is not None
        if core is None:
            code = run_core(wasm, invoke, surroundings, interruptible=interruptible)
        else:
            code = run_component(wasm, core, invoke, surroundings, interruptible=interruptible)
    if watch is not None and watch.over:
        raise MeldError(f"the program runs for more than {limit:g} s")
    return code


def _refuse_surroundings(programs: Sequence[Program]) -> NoReturn:
    """Says why what a WASI program finds is given in vain. Raises MeldError."""
    for program in programs:
        if isinstance(program, Module) and any(
            i.imported.module.startswith("wasi:") for i in program.imports if i.imported
        ):
            raise MeldError("--dir, --env and arguments cannot be given to a core module", hint=WASI_NEEDS)
    raise MeldError("--dir, --env and arguments are for programs that use WASI, and this one does not")


def _trace(line: str) -> None:
    say(line, error=True)


def _module(paths: Sequence[str], options: Options, instead: str | None) -> Module:
    """What is to be run: the module in the file, or the components fused; up to `instead` if nothing else is said."""
    program = load(paths[0]) if len(paths) == 1 else None
    if isinstance(program, Module) and options.passes is None and not options.plugins:
        if options.links or options.stop_after:
            raise MeldError("is a module already; --link and --stop-after are about components", where=paths[0])
        return program
    stop_after = options.stop_after
    if options.passes is None and not isinstance(program, Module):
        options.stop_after = stop_after or instead
    program = build(paths, options).program
    if not isinstance(program, Module):
        raise MeldError(f"--stop-after={stop_after}: before `merge` there is no module to run")
    return program


def invoke_export(running: Running, invoke: Sequence[str]) -> int:
    """Calls what is named and prints what it returns; the exit code. Raises MeldError, Trapped."""
    typed = split_call(invoke[0]) if len(invoke) == 1 and invoke[0] not in running.functions() else None
    if typed is not None:
        result = call(running, typed)
        if result is not None:
            say(result)
        return 0
    name = invoke[0] if invoke else _entry(running)
    if name is None:
        _list_exports(running)
        return 0
    results = running.call(name, *arguments(running, name, invoke[1:]))
    types = running.signature(name).results
    for value, t in zip([results] if len(types) == 1 else results or [], types, strict=True):
        say(show(value, t))
    return 0


@contextmanager
def _interruptible() -> Iterator[Watch | None]:
    """Lets an interrupt from the terminal end the process: Python cannot see it while the program runs."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield None
    finally:
        signal.signal(signal.SIGINT, previous)


def _entry(running: Running) -> str | None:
    for name in ENTRIES:
        if name in running.functions() and not running.signature(name).params:
            return name
    return None


def _list_exports(running: Running) -> None:
    """Names and types of the exports, to standard output; component functions by their component types."""
    components = {export.label: export for export in running.module.notes_of(HostExport)}
    for export in running.module.exports:
        if export.name in components:
            say(f"func   {signature(components[export.name])}")
            continue
        line = f"{KEYWORD_OF[type(export.item)]:6} {export.name}"
        if isinstance(export.item, Function):
            line += f" {item_type(export.item)}"
        say(line)


def arguments(running: Running, name: str, args: Sequence[str]) -> list[Any]:
    types = running.signature(name).params
    if len(args) != len(types):
        takes = f"({', '.join(map(type_name, types))})" if types else "no arguments"
        raise MeldError(f"`{name}` takes {takes}, not {len(args)} arguments")
    return [parse(text, t) for text, t in zip(args, types, strict=True)]


def parse(text: str, t: ValType) -> int | float:
    """An argument of a core type from text. Raises MeldError."""
    try:
        match t:
            case NumType.I32 | NumType.I64:
                return int(text, 0)
            case NumType.F32 | NumType.F64:
                return float.fromhex(text) if "0x" in text.lower() else float(text)
    except (ValueError, OverflowError):
        raise MeldError(f"`{text}` is not an {type_name(t)}") from None
    raise MeldError(f"an argument of type {type_name(t)} cannot be given on the command line")


def show(value: Any, t: ValType) -> str:
    """A result as text: integers signed, floats with as many digits as tell them apart."""
    match t:
        case NumType.F32 if math.isfinite(value):
            digits = (float(f"{value:.{precision}g}") for precision in range(1, 10))
            return repr(next(d for d in digits if struct.pack("<f", d) == struct.pack("<f", value)))
        case NumType():
            return str(value)
    return "null" if value is None else f"<{type_name(t)}>"
