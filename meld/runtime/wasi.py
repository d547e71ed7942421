"""Programs that use WASI: run as a component under wasmtime, whose own WASI serves them.

A core module that imports `wasi_snapshot_preview1` is run as it is, with the engine's WASI of that version.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meld.abi.types import Type
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Module
from meld.notes.boundaries import HostExport
from meld.runtime.instantiate import engine
from meld.runtime.typed import find_export
from meld.runtime.wave import read_arguments, split_call
from meld.runtime.wave_scalars import float_bits, float_of
from meld.runtime.wave_text import text_of
from meld.support.records import record
from meld.support.terminal import say

if TYPE_CHECKING:
    import wasmtime

    from meld.passes.base import Program

PREVIEW1 = "wasi_snapshot_preview1"
RUN = "wasi:cli/run@"

_IMPORTED = re.compile(r"(?:component imports \w+|unknown import:) `([^`]+)`")
"""How the engine says that nothing provides an import."""


@record()
class Surroundings:
    """What a program finds: its arguments, its environment, directories as (path, path in the program)."""

    args: Sequence[str] = ()
    env: Sequence[tuple[str, str]] = ()
    directories: Sequence[tuple[str, str]] = ()
    name: str = "program"

    @property
    def given(self) -> bool:
        """Whether the user asked for any of them."""
        return bool(self.args or self.env or self.directories)

    def config(self) -> wasmtime.WasiConfig:
        """As the engine takes them. Raises MeldError."""
        import wasmtime

        made = wasmtime.WasiConfig()
        made.argv = [self.name, *self.args]
        made.env = list(self.env)
        made.inherit_stdin()
        made.inherit_stdout()
        made.inherit_stderr()
        for path, guest in self.directories:
            if not Path(path).is_dir():
                raise MeldError(f"--dir={path}: no such directory")
            made.preopen_dir(path, guest)
        return made


def uses_wasi(program: Program) -> bool:
    """Whether a program imports an interface of WASI; of a module, version 0.1."""
    if isinstance(program, Module):
        return any(item.imported is not None and item.imported.module == PREVIEW1 for item in program.imports)
    return any(item.extern.name.startswith("wasi:") for item in program.of(c.Import))


def run_core(wasm: bytes, invoke: Sequence[str], surroundings: Surroundings, *, interruptible: bool) -> int:
    """Runs a core module; `_start`, or the export that `invoke` names. Returns the exit code. Raises MeldError."""
    import wasmtime

    linker = wasmtime.Linker(engine(interruptible=interruptible))
    linker.define_wasi()
    store = _store(linker.engine, surroundings, interruptible)
    if len(invoke) > 1:
        raise MeldError("a core function that takes arguments cannot be called in a module that uses WASI")
    name = invoke[0] if invoke else "_start"

    def call() -> None:
        instance = linker.instantiate(store, wasmtime.Module(linker.engine, wasm))
        function = instance.exports(store).get(name)
        if not isinstance(function, wasmtime.Func):
            raise MeldError(f"the module exports no function `{name}`")
        result = function(store)
        if result is not None:
            say(str(result))

    return _exit_code(call)


def run_component(
    wasm: bytes, core: Module | None, invoke: Sequence[str], surroundings: Surroundings, *, interruptible: bool
) -> int:
    """Runs a component: `wasi:cli/run`, or the call that `invoke` says. Returns the exit code.

    Args:
        core: the fused module inside, whose notes say which types the exports have.

    Raises:
        MeldError: it cannot be instantiated, or has no such export.
    """
    import wasmtime
    from wasmtime import component as wc

    its_engine = engine(interruptible=interruptible)
    store = _store(its_engine, surroundings, interruptible)
    linker = wc.Linker(its_engine)
    linker.add_wasip2()
    try:
        instance = linker.instantiate(store, wc.Component(its_engine, wasm))
    except wasmtime.WasmtimeError as e:
        if "wasm trap" in str(e):
            return _trapped(e)
        raise _unserved(e) from None
    exports: list[HostExport] = [] if core is None else core.notes_of(HostExport)
    if not invoke:
        export = next((e for e in exports if e.label.startswith(RUN) and e.label.endswith("#run")), None)
        if export is None or core is None:
            raise MeldError("the program exports no `wasi:cli/run`", hint="--invoke 'NAME(…)' calls another export")
        values: list[Any] = []
    else:
        text = split_call(" ".join(invoke))
        if text is None or core is None:
            raise MeldError(f"--invoke {' '.join(invoke)}", hint="write 'NAME(VALUE, …)'")
        export = find_export(core, text.name)
        values = read_arguments(text, export.type.params)
    index = None
    for part in export.label.split("#"):
        index = instance.get_export_index(store, part, index)
    function = None if index is None else instance.get_func(store, index)
    if function is None:
        raise MeldError(f"the component exports no `{export.label}`")
    given = [to_engine(value, t) for value, (_, t) in zip(values, export.type.params, strict=True)]
    answer: list[Any] = []
    code = _exit_code(lambda: answer.append(function(store, *given)))
    if code or not answer or export.type.result is None:
        return code
    result = from_engine(answer[0], export.type.result)
    if not invoke:
        return result[0]  # type: ignore[no-any-return]  # result: 1 is an error
    say(text_of(result, export.type.result))
    return 0


def _store(of: wasmtime.Engine, surroundings: Surroundings, interruptible: bool) -> wasmtime.Store:
    import wasmtime

    store = wasmtime.Store(of)
    if interruptible:
        store.set_epoch_deadline(1)
    store.set_wasi(surroundings.config())
    return store


def _exit_code(call: Callable[[], object]) -> int:
    """Calls; the code that the program ended with, 1 if it trapped. Raises MeldError."""
    import wasmtime

    sys.stdout.flush()
    try:
        call()
    except wasmtime.ExitTrap as e:
        return int(e.code)
    except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
        if isinstance(e, wasmtime.WasmtimeError) and "unknown import" in str(e):
            raise _unserved(e) from None
        return _trapped(e)
    return 0


def _trapped(e: Exception) -> int:
    say(f"meldc: the program trapped: {_last(e)}", error=True)
    return 1


def _unserved(e: Exception) -> MeldError:
    """What the engine lacks, by name."""
    wanted = _IMPORTED.search(str(e))
    if wanted is None or wanted[1].startswith(("wasi:", "wasi_")):
        what = _last(e) if wanted is None else f"it lacks `{wanted[1]}`, or has it with another type"
        later = wanted is not None and "@0.3." in wanted[1]
        hint = "with --emit=component, `wasmtime run -S p3` serves WASI 0.3" if later else None
        return MeldError(f"the engine's WASI does not serve the program: {what}", hint=hint)
    hint = "a component that exports it may be a further input"
    return MeldError(f"nothing provides the import `{wanted[1]}`", hint=hint)


def _last(e: Exception) -> str:
    return re.sub(r"^\d+: ", "", str(e).strip().splitlines()[-1].strip()).removeprefix("wasm trap: ")


# --- values ---------------------------------------------------------------------------------------------------------


def to_engine(value: Any, t: Type) -> Any:
    """A value in the form of `meld.runtime.canonical` as the engine's Python package takes it. Raises MeldError."""
    from wasmtime import component as wc

    match t:
        case c.Prim.F32 | c.Prim.F64:
            return float_of(value, t)
        case c.Prim.CHAR | c.Prim.STRING:
            return str(value)
        case c.Prim():
            return value
        case c.ListType(c.Prim.U8, None):
            return bytes(value)
        case c.ListType(element, None):
            return [to_engine(x, element) for x in value]
        case c.Tuple(elements):
            return tuple(to_engine(x, of) for x, of in zip(value, elements, strict=True))
        case c.Record(fields):
            made = wc.Record()
            for x, (name, of) in zip(value, fields, strict=True):
                setattr(made, name, to_engine(x, of))
            return made
        case c.Flags(names):
            return {name for i, name in enumerate(names) if value >> i & 1}
        case c.EnumType(names):
            return names[value[0]]
        case c.Variant() | c.Option() | c.Result():
            name, of = _cases(t)[value[0]]
            payload = None if of is None else to_engine(value[1], of)
            return wc.Variant(name, payload) if _is_tagged(t) else payload
    raise MeldError("handles, streams and maps cannot be given to a program that uses WASI")


def from_engine(value: Any, t: Type) -> Any:
    """The reverse of `to_engine`."""
    match t:
        case c.Prim.F32 | c.Prim.F64:
            return float_bits(value, t)
        case c.Prim():
            return value
        case c.ListType(element, None):
            return [from_engine(x, element) for x in value]
        case c.Tuple(elements):
            return tuple(from_engine(x, of) for x, of in zip(value, elements, strict=True))
        case c.Record(fields):
            return tuple(from_engine(getattr(value, name), of) for name, of in fields)
        case c.Flags(names):
            return sum(1 << i for i, name in enumerate(names) if name in value)
        case c.EnumType(names):
            return names.index(value), None
        case c.Variant() | c.Option() | c.Result():
            cases = _cases(t)
            if _is_tagged(t):
                number = [name for name, _ in cases].index(value.tag)
                value = value.payload
            else:
                number = next(i for i, (_, of) in enumerate(cases) if type(value) in _classes(of))
            of = cases[number][1]
            return number, None if of is None else from_engine(value, of)
    raise MeldError("handles, streams and maps cannot come from a program that uses WASI")


def _cases(t: Type) -> Sequence[tuple[str, Type | None]]:
    match t:
        case c.Option(element):
            return (("none", None), ("some", element))
        case c.Result(ok, error):
            return (("ok", ok), ("err", error))
        case c.Variant(cases):
            return cases
    raise AssertionError(t)


def _is_tagged(t: Type) -> bool:
    """Whether the engine gives the cases tags, since the Python types of their payloads do not tell them apart."""
    seen: set[type] = set()
    for _, of in _cases(t):
        classes = _classes(of)
        if seen & classes:
            return True
        seen |= classes
    return False


def _classes(t: Type | None) -> set[type]:
    from wasmtime import component as wc

    match t:
        case None:
            return {type(None)}
        case c.Prim.BOOL:
            return {bool}
        case c.Prim.F32 | c.Prim.F64:
            return {float}
        case c.Prim.CHAR | c.Prim.STRING | c.EnumType():
            return {str}
        case c.Prim():
            return {int}
        case c.ListType(c.Prim.U8, _):
            return {bytes}
        case c.ListType() | c.MapType():
            return {list}
        case c.Tuple():
            return {tuple}
        case c.Record():
            return {wc.Record}
        case c.Flags():
            return {set}
        case c.Variant() | c.Option() | c.Result():
            return {wc.Variant} if _is_tagged(t) else set().union(*(_classes(of) for _, of in _cases(t)))
    raise MeldError("handles and streams cannot cross to a program that uses WASI")
