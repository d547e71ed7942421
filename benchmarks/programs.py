"""Real programs as they are composed, and fused with `--emit=component`: both as components, under one engine.

A request is an instance, a call and its end, as `wasmtime serve` makes them, from a pool.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import inputs
import wasmtime
from measure import BIN, FIXTURES, NO_INPUT, Row, Sample, ratio, show_rows
from running import interleaved
from wasmtime import _ffi as ffi
from wasmtime import component as wc

TURNS = 15
COMPILED = 3
"""Times that a program is compiled; a large one once, since that takes a minute."""

HELD = """
import os, sys, wasmtime
from wasmtime import component as wc
engine = wasmtime.Engine()
component = wc.Component.deserialize_file(engine, sys.argv[1])
linker = wc.Linker(engine); linker.add_wasip2()
def resident(): return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
def made():
    store = wasmtime.Store(engine); store.set_wasi(wasmtime.WasiConfig())
    instance = linker.instantiate(store, component)
    function = instance.get_func(store, sys.argv[2])
    arguments = eval(sys.argv[3])
    function(store, *arguments); function.post_return(store)
    return store
first = made(); before = resident()
kept = [made() for _ in range(20)]
print((resident() - before) / 20)
"""
"""Resident bytes of an instance that has answered: the mean of twenty, all of them alive."""

REDACT = (
    "type('Options', (), {'entities': None, 'context-window-size': 3, 'skip-custom-detect': False, "
    "'skip-custom-redact': False})()"
)


@dataclass(frozen=True)
class Program:
    """A component and what it imports, or both composed, and a call: the export, its arguments as Python."""

    name: str
    parts: tuple[Path, ...]
    export: str
    arguments: str
    calls: int
    turns: int = TURNS
    compiled: int = COMPILED

    def composed(self, folder: Path) -> Path:
        """The program as a single component, unfused."""
        if len(self.parts) == 1:
            return self.parts[0]
        consumer, *providers = self.parts
        out = folder / "composed.wasm"
        definitions = [word for provider in providers for word in ("-d", provider)]
        subprocess.run([BIN / "wasm-tools", "compose", consumer, *definitions, "-o", out], check=True, stderr=PIPE)
        return out


def programs() -> list[Program]:
    """All of them, whether they are here or not."""
    greet = FIXTURES / "greet"
    js, py = (inputs.pair(language) or [Path("js"), Path("py")] for language in ("js", "py"))
    return [
        Program("C + C, strings and lists", (greet / "comp-cc.wasm",), "run", "(100,)", 400),
        Program("C + C, records and resources", (FIXTURES / "shop/composed.wasm",), "run", "(12,)", 20),
        Program("C + JavaScript in QuickJS", (greet / "comp-c-q.wasm",), "run", "(100,)", 10),
        Program(
            "Rust codec + C",
            (FIXTURES / "arcjet-redact/redact-composed.wasm",),
            "redact",
            f"('mail bob@example.com or Xavier at 10.0.0.1, call 5551234 thanks abcdefg', {REDACT})",
            20,
        ),
        Program("JavaScript + JavaScript in QuickJS", (js[0], greet / "qjsprov.wasm"), "run", "(100,)", 4, 9, 1),
        Program("Python + Python", tuple(py), "run", "(100,)", 2, 9, 1),
    ]


ADAPTERS = "the adapters are in the file, with names and line tables; those of unfused programs the engine makes"
REASONS = {
    "size": ADAPTERS,
    "compile": "adapters are code of the module; those of unfused programs the engine makes",
    "instantiate": "memories beyond the first are instances of helper modules",
    "call": "the address of a memory with much data, which a helper module defines, is loaded for each access",
    "request": "memories beyond the first are instances of helper modules",
    "memory": "the state memory has a page that adapters use",
}
"""Why fused is worse, where it is by more than 5 %."""


def pooled() -> wasmtime.Engine:
    """An engine as `wasmtime serve` has it."""
    config = wasmtime.Config()
    pool = ffi.wasmtime_pooling_allocation_config_new()
    ffi.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    ffi.wasmtime_pooling_allocation_config_delete(pool)
    return wasmtime.Engine(config)


class Side:
    """One of the two forms of a program."""

    def __init__(self, program: Program, wasm: bytes, folder: Path, name: str) -> None:
        self.program, self.wasm = program, wasm
        self.arguments = eval(program.arguments)
        self.engine = pooled()
        self.component = wc.Component(self.engine, wasm)
        self.linker: Any = wc.Linker(self.engine)
        self.linker.add_wasip2()
        self.compiled = folder / f"{name}.cwasm"
        self.store, self.function = self.made()

    def made(self) -> tuple[wasmtime.Store, Any]:
        store = wasmtime.Store(self.engine)
        store.set_wasi(wasmtime.WasiConfig())
        return store, self.linker.instantiate(store, self.component).get_func(store, self.program.export)

    def call(self, rounds: int) -> None:
        for _ in range(rounds):
            self.function(self.store, *self.arguments)
            self.function.post_return(self.store)

    def instantiate(self, rounds: int) -> None:
        for _ in range(rounds):
            self.made()

    def request(self, rounds: int) -> None:
        for _ in range(rounds):
            store, function = self.made()
            function(store, *self.arguments)
            function.post_return(store)

    def compile(self) -> float:
        """Seconds that it takes on all processors together; keeps what is compiled for `memory`."""
        began = time.process_time()
        component = wc.Component(wasmtime.Engine(), self.wasm)
        seconds = time.process_time() - began
        self.compiled.write_bytes(component.serialize())
        return seconds

    def memory(self) -> float:
        command = [sys.executable, "-c", HELD, self.compiled, self.program.export, self.program.arguments]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1e6


def rows() -> list[Row]:
    """Those of the programs whose files are here."""
    found = []
    for program in programs():
        if not all(path.exists() for path in program.parts):
            found.append(Row(program.name, NO_INPUT))
            continue
        with tempfile.TemporaryDirectory() as folder:
            found += of(program, Path(folder))
    return found


def of(program: Program, folder: Path) -> list[Row]:
    """The rows of one program."""
    source, out = program.composed(folder), folder / "fused.wasm"
    subprocess.run([BIN / "meldc", source, "--emit=component", "-q", "-o", out], check=True)
    unfused, fused = (
        Side(program, path.read_bytes(), folder, name) for path, name in ((source, "unfused"), (out, "fused"))
    )
    sides = {"fused": fused, "unfused": unfused}
    turns = program.turns
    pairs: dict[str, dict[str, Sample]] = {
        "size": {n: Sample((len(s.wasm) / 1e3,), unit="KB") for n, s in sides.items()},
        "compile": in_turns({n: s.compile for n, s in sides.items()}, "s", program.compiled),
        "instantiate": interleaved({n: s.instantiate for n, s in sides.items()}, dict.fromkeys(sides, 20), turns),
        "call": interleaved({n: s.call for n, s in sides.items()}, dict.fromkeys(sides, program.calls), turns),
        "request": interleaved({n: s.request for n, s in sides.items()}, dict.fromkeys(sides, program.calls), turns),
        "memory": in_turns({n: s.memory for n, s in sides.items()}, "MB", 3),
    }
    return [row(program, what, pair["fused"], pair["unfused"]) for what, pair in pairs.items()]


def in_turns(runs: dict[str, Callable[[], float]], unit: str, turns: int) -> dict[str, Sample]:
    """Each of them in turn, so many times."""
    values: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            values[name].append(run())
    return {name: Sample(tuple(found), unit=unit) for name, found in values.items()}


def row(program: Program, what: str, fused: Sample, unfused: Sample) -> Row:
    """One measure of both, with the reason where fused is worse."""
    over = float(ratio(fused, unfused, 3))
    words = f"{over:.2f} × unfused" + (f": {REASONS[what]}" if over > 1.05 else "")
    return Row(f"{program.name}: {what}", fused, unfused=unfused, target="≤ 1.05 × unfused", reached=words)


if __name__ == "__main__":
    show_rows("Real programs, unfused beside fused", rows())
