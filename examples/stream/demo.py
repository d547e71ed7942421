"""Fuses the producer and the consumer, and moves bytes between them: through the host, then inside the module."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import wasmtime
from rich import box
from rich.console import Console
from rich.table import Table

import meld
from meld.notes.streams import Domain, Pair
from meld.runtime.host import Host
from meld.runtime.instantiate import Running, engine, instantiate

HERE = Path(__file__).parent
INPUTS = [HERE / "producer.wat", HERE / "consumer.wat"]
TOTAL = 1 << 20
CHUNKS = (64, 512, 4096)

# Writes a chunk and reads a chunk, `rounds` times; answers how many bytes arrived. In WebAssembly, so that nothing else
# is timed.
PUMP = """
(module
  (import "fused" "p_write" (func $write (param i32 i32) (result i32)))
  (import "fused" "c_read" (func $read (param i32 i32) (result i32)))
  (func (export "pump") (param $readable i32) (param $writable i32) (param $chunk i32) (param $rounds i32) (result i64)
    (local $arrived i64)
    (loop $next
      (drop (call $write (local.get $writable) (local.get $chunk)))
      (local.set $arrived (i64.add (local.get $arrived)
        (i64.extend_i32_s (call $read (local.get $readable) (local.get $chunk)))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $next (local.get $rounds)))
    (local.get $arrived)))
"""


def move(module: meld.Module, chunk: int) -> tuple[int, int, float]:
    """Moves `TOTAL` bytes; the bytes that arrived, the calls of the host, and the seconds that it took."""
    store = wasmtime.Store(engine())
    running = instantiate(module, Host(), store=store)
    exports = running.instance.exports(store)
    given = {("fused", name): exports[name] for name in ("p_write", "c_read")}
    pump = instantiate(bytes(wasmtime.wat2wasm(PUMP)), given=given, store=store)
    pair = running.call("p_new")
    readable, writable = pair & 0xFFFF_FFFF, pair >> 32
    began = time.perf_counter()
    arrived = pump.call("pump", readable, writable, chunk, TOTAL // chunk)
    seconds = time.perf_counter() - began
    running.call("p_drop", writable)
    running.call("c_drop", readable)
    check(running, chunk)
    return arrived, running.host.total, seconds


def check(running: Running, chunk: int) -> None:
    """Stops the demonstration if the last chunk is not what the producer wrote."""
    for i in range(chunk):
        if running.call("c_get", i) != (i + 1) & 0xFF:
            sys.exit(f"byte {i} of the last chunk arrived changed")


def main() -> None:
    """Prints the table."""
    console = Console()
    merged = meld.compile(INPUTS, stop_after="merge")
    fused = meld.compile(INPUTS)
    console.print(
        f"[bold]{' + '.join(path.name for path in INPUTS)}[/] → one core module of {len(meld.encode(fused))} bytes "
        f"with {len(fused.space('memories'))} memories",
        highlight=False,
    )
    table = Table(box=box.SIMPLE_HEAD, title=f"Moving {TOTAL >> 20} MiB from the producer to the consumer")
    for heading in ("chunk", "bytes moved", "host calls\nwithout", "host calls\nwith bridge", "time\nwithout"):
        table.add_column(heading, justify="right")
    table.add_column("time\nwith bridge", justify="right", style="green")
    for chunk in CHUNKS:
        moved, calls, seconds = move(merged, chunk)
        moved_inside, calls_inside, seconds_inside = move(fused, chunk)
        if not moved == moved_inside == TOTAL:
            sys.exit(f"{TOTAL} bytes were sent, {moved} arrived through the host and {moved_inside} inside the module")
        table.add_row(
            f"{chunk} B", f"{moved:,}", f"{calls:,}", f"{calls_inside:,}", f"{seconds * 1e3:,.1f} ms",
            f"{seconds_inside * 1e3:,.1f} ms",
        )  # fmt: skip
    console.print(table)
    console.print("[dim]The host is Python, so its calls cost more than those of a native host would.[/]")
    bridged = {domain for domain in fused.notes_of(Domain) if domain.bridged}
    for pair in fused.notes_of(Pair):
        if pair.domain in bridged:
            writers, readers = (", ".join(f"`{one.name}`" for one in side) for side in (pair.producer, pair.consumer))
            console.print(
                f"What {writers} writes {readers} reads, so their streams were moved into "
                "the module: rings in a memory of its own, and no call leaves it.",
                highlight=False,
            )


if __name__ == "__main__":
    main()
