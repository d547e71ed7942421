"""Checks of what each step leaves: by our own rules, by the engine, and by running it.

A fault is a `PassFailure` of the step: it names the pass, the item, the place, and what the pass changed there.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from meld.diagnostics import MeldError, PassFailure
from meld.files import encode
from meld.ir.component import Component
from meld.ir.module import Module
from meld.journal import Journal
from meld.passes.base import Program
from meld.passmanager import Observer, Plan, Ran, Step
from meld.support.records import record
from meld.text.literals import identifier
from meld.verify.module import verify

if TYPE_CHECKING:
    import wasmtime

EACH, ENDS = "each", "ends"
CHECK_LIMIT = 300
"""Seconds that a command given with ``--check`` may take."""

SHOWN = 24
"""Lines of a difference that an error shows."""


@record()
class Verifier(Observer):
    """Checks programs after steps.

    Attributes:
        journal: of the run, recorded before this observer is told.
        verify: `EACH` step, or both `ENDS`; None: never.
        run: whether each module is run as well.
        check: the command that runs one: ``{}`` stands for the file, which otherwise comes last. None: the exports of
            the module whose names begin with ``test`` are called; none may trap.
    """

    journal: Journal
    verify: str | None = None
    run: bool = False
    check: str | None = None
    last: int = 0

    def planned(self, plan: Plan) -> None:
        self.last = len(plan.steps)

    def before(self, number: int, step: Step, program: Program) -> None:
        if number == 1 and self.verify is not None:
            fault = fault_of(program)
            if fault is not None:
                raise MeldError(f"the input is not valid: {fault.message}", where=fault.where, hint=fault.hint)

    def after(self, ran: Ran, program: Program) -> None:
        if self.verify == EACH or (self.verify == ENDS and ran.number == self.last):
            fault = fault_of(program)
            if fault is not None:
                raise self._failure(ran, "what it left is not valid", fault)
        if self.run and isinstance(program, Module):
            fault = self._run(program)
            if fault is not None:
                raise self._failure(ran, "what it left fails when it is run", fault)

    def _failure(self, ran: Ran, what: str, fault: MeldError) -> PassFailure:
        message = f"{what}: {f'{fault.where}: ' if fault.where else ''}{fault.message}"
        shown = self._difference(fault.where or "")
        if shown:
            message += "\n" + "\n".join(shown)
        return PassFailure(
            message,
            number=ran.number,
            label=ran.step.label,
            own=ran.step.instance.is_own,
            hint=fault.hint,
            rewrites=ran.context.rewrites,
        )

    def _difference(self, where: str) -> list[str]:
        """What the last step changed in the item that an error speaks of."""
        number = self.journal.steps[-1].number
        for one in self.journal.between(number - 1, number):
            if f"{identifier(one.symbol.name)}," in f"{where},":
                lines = one.lines()
                return lines[:SHOWN] + ["…"] * (len(lines) > SHOWN)
        return []

    def _run(self, module: Module) -> MeldError | None:
        try:
            data = None if self.check is None else encode(module)
            if data is None:
                return run_tests(module)
        except MeldError as e:
            return e
        assert self.check is not None
        return run_command(self.check, data)


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
    return engine_fault(program, data)


def engine_fault(program: Program, data: bytes) -> MeldError | None:
    """What the engine says against the binary of a program, with the function that it speaks of."""
    import re

    import wasmtime
    import wasmtime.component

    from meld.runtime.instantiate import engine

    if isinstance(program, Component):
        try:
            wasmtime.component.Component(component_engine(), data)
        except wasmtime.WasmtimeError as e:
            return MeldError(" ".join(str(e).split()))
        return None
    try:
        wasmtime.Module.validate(engine(), data)
    except wasmtime.WasmtimeError as e:
        message = str(e).strip()
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
    from meld.binary.bodies import EncodedBody
    from meld.binary.reader import read_module

    for function, read in zip(module.functions, read_module(data, where="product").functions, strict=True):
        body = read.body
        if isinstance(body, EncodedBody) and body.offset <= offset < body.offset + body.size:
            return f"function {identifier(function.name or '?')}, byte {offset - body.offset} of its body"
    return None


def run_command(command: str, data: bytes) -> MeldError | None:
    """Runs a command on a file with the data; what it says if it fails. MeldError if it cannot be run."""
    done = run_on_file(command, data, option="--check")
    if done is None:
        return MeldError(f"`{command}` takes more than {CHECK_LIMIT} s")
    if done.returncode == 0:
        return None
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
    return MeldError("\n".join([f"`{command}` ended with exit code {done.returncode}", *said]))


def run_on_file(
    command: str, data: bytes, *, option: str, suffix: str = "wasm", limit: float = CHECK_LIMIT
) -> subprocess.CompletedProcess[str] | None:
    """Runs a command that `option` gave on a file with the data; None if it takes more than `limit` seconds.

    Raises:
        MeldError: there is no such command.
    """
    try:
        words = shlex.split(command)
    except ValueError as e:
        raise MeldError(f"{option}={command}: {e}") from None
    if not words:
        raise MeldError(f"{option}: the command is empty")
    with tempfile.TemporaryDirectory(prefix="meldc-") as directory:
        path = Path(directory) / f"program.{suffix}"
        path.write_bytes(data)
        args = [word.replace("{}", str(path)) for word in words] if "{}" in command else [*words, str(path)]
        try:
            return subprocess.run(args, capture_output=True, text=True, errors="replace", timeout=limit)
        except OSError as e:
            hint = f"{option}=CMD; `{{}}` stands for the file"
            raise MeldError(f"cannot run `{words[0]}`: {e.strerror}", hint=hint) from e
        except subprocess.TimeoutExpired:
            return None


def run_tests(module: Module) -> MeldError | None:
    """Calls the exports whose names begin with ``test`` and that take nothing."""
    from meld.ir.module import Function
    from meld.runtime.instantiate import Trapped, instantiate

    names = [
        export.name
        for export in module.exports
        if export.name.startswith("test") and isinstance(export.item, Function) and not export.item.signature.params
    ]
    if not names:
        return None
    running = instantiate(module)
    for name in names:
        try:
            running.call(name)
        except Trapped as e:
            return MeldError(str(e), where=f"export `{name}`")
    return None
