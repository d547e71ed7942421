"""Honest and hostile components beside each other: composed for the engine, and fused.

What is right is what the engine does unfused, or a refusal.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import wasmtime
from wrapped import Hosts, meldc, wit
from wrapped import Running as Component

import meld

CASES = Path(__file__).parents[2] / "../shared/cases/isolation"

HONEST = """(component
  (import "log" (func $log (param "s" string)))
  (core module $mem (memory (export "memory") 1) (data (i32.const 16) "hi") (data (i32.const 64) "the secret key"))
  (core instance $mem (instantiate $mem))
  (core func $log' (canon lower (func $log) (memory $mem "memory")))
  (core module $m (import "" "log" (func $log (param i32 i32)))
    (func (export "run") (call $log (i32.const 16) (i32.const 2))))
  (core instance $i (instantiate $m (with "" (instance (export "log" (func $log'))))))
  (func (export "run") (canon lift (core func $i "run"))))"""
"""Says "hi" to the host's `log`; its secret lies at 64."""


def written(folder: Path, **texts: str) -> list[Path]:
    """Files ``name.wat`` with texts, in order."""
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name.replace('_', '-')}.wat")
        paths[-1].write_text(text)
    return paths


def fused(inputs: list[Path], out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """What the command line does; a product that it wrote is valid."""
    out.unlink(missing_ok=True)
    done = meldc(*inputs, "-o", out, *more)
    assert done.returncode in (0, 2), done.stderr
    assert out.exists() == (done.returncode == 0), done.stderr
    return done


@cache
def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


class Core:
    """A core module under a host that goes by names: any import is served by the function given for its name."""

    def __init__(self, path: Path, hosts: dict[tuple[str, str], Any]) -> None:
        self.store = wasmtime.Store(_engine())
        self.module = wasmtime.Module(self.store.engine, path.read_bytes())
        self.names = [(one.module, one.name) for one in self.module.imports]
        linker = wasmtime.Linker(self.store.engine)
        for one in self.module.imports:
            assert isinstance(one.type, wasmtime.FuncType)
            linker.define(self.store, one.module, one.name or "", self._func(one, hosts[one.module, one.name or ""]))
        self.exports = linker.instantiate(self.store, self.module).exports(self.store)

    def _func(self, one: Any, call: Any) -> wasmtime.Func:
        return wasmtime.Func(self.store, one.type, lambda *args: call(self, *args))

    def text(self, memory: str, at: int, size: int) -> str:
        found = self.exports[memory]
        assert isinstance(found, wasmtime.Memory)
        return bytes(found.read(self.store, at, at + size)).decode()

    def call(self, name: str, *args: Any) -> Any:
        function = self.exports[name]
        assert isinstance(function, wasmtime.Func)
        return function(self.store, *args)


def component(path: Path, hosts: Hosts | None = None) -> Component:
    return Component(path, hosts)


def wit_of(path: Path, folder: Path) -> str:
    """The world of a component, text or binary."""
    if path.suffix == ".wat":
        (folder / "as-binary.wasm").write_bytes(meld.encode(meld.load(path)))
        path = folder / "as-binary.wasm"
    return wit(path)


def manifest(inputs: list[Path], folder: Path) -> dict[str, Any]:
    """The manifest of a fusion."""
    file = folder / "manifest.json"
    done = meldc(*inputs, "-q", "-o", folder / "manifested.wasm", "--manifest", file)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(file.read_text())
    return found
