"""Fuses a producer in Zig and a consumer in C, which stream by the built-ins of the Component Model, and runs them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import wasmtime
from rich import box
from rich.console import Console
from rich.table import Table

import meld
from meld.runtime.host import Host
from meld.runtime.instantiate import engine, instantiate
from meld.runtime.typed import find_export

HERE = Path(__file__).parent
INPUTS = [HERE / "producer.wasm", HERE / "consumer.wasm"]
LINE = 44
COUNTS = (10, 1_000, 100_000)
INTERPRETED = 1_000
"""Lines up to which the interpreter is asked as well; it serves every built-in in Python."""


def interpreted(module: meld.Module, count: int) -> tuple[tuple[int, int], float]:
    """What `run` answers where the host of meldc serves streams and tasks, and the seconds that it took."""
    running = instantiate(module, Host())
    began = time.perf_counter()
    result = running.invoke(find_export(module, "run"), [count])
    return tuple(result), time.perf_counter() - began


def fused(code: bytes, count: int) -> tuple[tuple[int, int], float]:
    """What `run` answers as a plain function of a core module, and the seconds that it took."""
    store = wasmtime.Store(engine())
    run = wasmtime.Instance(store, wasmtime.Module(store.engine, code), []).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    began = time.perf_counter()
    result = run(store, count)
    return tuple(result), time.perf_counter() - began


def main() -> None:
    """Prints the table."""
    console = Console()
    merged, done = meld.compile(INPUTS, stop_after="merge"), meld.compile(INPUTS)
    code = meld.encode(done)
    console.print(
        f"[bold]{' + '.join(path.name for path in INPUTS)}[/] (Zig, C) → one core module of {len(code)} bytes\n"
        f"imports: {len(merged.imports)} after merge, {len(done.imports)} at the end",
        highlight=False,
    )
    table = Table(box=box.SIMPLE_HEAD, title="A stream of lines from one task to the other")
    for heading in ("lines", "bytes arrived", "lines arrived", "time, built-ins\nserved by a host"):
        table.add_column(heading, justify="right")
    table.add_column("time, fused", justify="right", style="green")
    for count in COUNTS:
        result, seconds = fused(code, count)
        shown = "–"
        if count <= INTERPRETED:
            other, slow = interpreted(merged, count)
            shown = f"{slow * 1e3:,.1f} ms"
            if other != result:
                sys.exit(f"the host says {other}, the fused module {result}")
        if result != (LINE * count, count):
            sys.exit(f"{count} lines were sent; {result} arrived")
        table.add_row(f"{count:,}", f"{result[0]:,}", f"{result[1]:,}", shown, f"{seconds * 1e3:,.2f} ms")
    console.print(table)
    console.print(
        "Both components are tasks with callbacks. They wait in waitable sets; a scheduler in the module wakes them.\n"
        "The bytes go straight from one memory to the other. docs/async.md explains each step.",
        highlight=False,
    )


if __name__ == "__main__":
    main()
