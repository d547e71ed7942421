"""Components made and run by tests: composed, fused and wrapped by the command line, instantiated by the engine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wasmtime
from measured import ROOT as ROOT
from measured import forked
from smith import WASM_TOOLS
from wasmtime import _ffi as ffi
from wasmtime import component as wc


def pooled() -> wasmtime.Engine:
    """An engine as `wasmtime serve` has it: its pooling allocator takes one memory and one table a module."""
    config = wasmtime.Config()
    pool = ffi.wasmtime_pooling_allocation_config_new()
    ffi.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    ffi.wasmtime_pooling_allocation_config_delete(pool)
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


ENGINE = pooled()

Hosts = dict[str, Callable[..., Any] | dict[str, Callable[..., Any]]]
"""What the host provides: functions by name, and interfaces as functions by name."""


def meldc(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return forked(*args)


def fuse(inputs: Sequence[Path], out: Path, *more: str) -> Path:
    """Fuses and wraps with the command line; the product is valid."""
    done = meldc(*inputs, "--emit=component", "-q", "-o", out, *more)
    assert done.returncode == 0, done.stderr
    tool("validate", "--features=all", out)
    return out


def tool(*args: str | Path) -> str:
    """What `wasm-tools` says."""
    done = subprocess.run([WASM_TOOLS, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wit(path: Path) -> str:
    """The world of a component, as `wasm-tools` sees it."""
    return tool("component", "wit", path)


@dataclass
class Wasi:
    """A program's surroundings, and what it left in them."""

    directory: Path
    args: Sequence[str] = ()
    env: dict[str, str] = field(default_factory=dict)
    stdin: str = ""

    def config(self) -> wasmtime.WasiConfig:
        (self.directory / "stdin").write_text(self.stdin)
        for name in ("stdout", "stderr"):
            (self.directory / name).write_text("")
        made = wasmtime.WasiConfig()
        made.argv = ["program", *self.args]
        made.env = list(self.env.items())
        made.stdin_file = str(self.directory / "stdin")
        made.stdout_file = str(self.directory / "stdout")
        made.stderr_file = str(self.directory / "stderr")
        return made

    def left(self) -> tuple[str, str]:
        return (self.directory / "stdout").read_text(), (self.directory / "stderr").read_text()


class Running:
    """A component instance under the engine."""

    def __init__(
        self,
        path: Path | bytes,
        hosts: Hosts | None = None,
        wasi: Wasi | None = None,
        resources: dict[str, list[str]] | None = None,
        engine: wasmtime.Engine = ENGINE,
    ) -> None:
        self.store = wasmtime.Store(engine)
        linker = wc.Linker(engine)
        if wasi is not None:
            self.store.set_wasi(wasi.config())
            linker.add_wasip2()
        for name, labels in (resources or {}).items():
            with linker.root() as root, root.add_instance(name) as instance:
                for number, label in enumerate(labels):
                    instance.add_resource(label, wc.ResourceType.host(number), lambda _store, _rep: None)
        if hosts:
            with linker.root() as root:
                for name, given in hosts.items():
                    if isinstance(given, dict):
                        with root.add_instance(name) as instance:
                            for label, function in given.items():
                                instance.add_func(label, _host(function))
                    else:
                        root.add_func(name, _host(given))
        data = path if isinstance(path, bytes) else path.read_bytes()
        self.instance = linker.instantiate(self.store, wc.Component(engine, data))

    def call(self, name: str, *args: Any) -> Any:
        """Calls ``run`` or ``iface#func``. A trap is the word ``trap``, an exit its code."""
        interface, _, label = name.rpartition("#")
        index = None
        for part in [interface, label] if interface else [label]:
            index = self.instance.get_export_index(self.store, part, index)
            assert index is not None, name
        function = self.instance.get_func(self.store, index)
        assert function is not None, name
        try:
            return plain(function(self.store, *args))
        except wasmtime.ExitTrap as e:
            return ("exit", e.code)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
            assert "wasm trap" in str(e) or "error while executing" in str(e), e
            return "trap"


def _host(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _store, *args: function(*args)


def plain(value: Any) -> Any:
    """A value that can be compared: records and variants by their parts."""
    if isinstance(value, list | tuple):
        return [plain(x) for x in value]
    if isinstance(value, wc.Record):
        return {name: plain(x) for name, x in vars(value).items()}
    if isinstance(value, wc.Variant):
        return (value.tag, plain(value.payload))
    return value
