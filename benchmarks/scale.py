"""How time and memory grow: with the number of functions, and with the number of components in a chain.

Linear means that each unit costs the same: the last column compares what one more function or component costs between
the two largest sizes with what it costs between the two before.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import wasmtime
from measure import BIN, Process, Row, in_turn, show_rows

FUNCTIONS = (1_000, 10_000, 100_000, 1_000_000)
COMPONENTS = (2, 16, 64, 128, 256)

READ = """
import gc, sys
from meld.files import load
gc.disable()
programs = [load(path) for path in sys.argv[1:]]
"""
"""The floor of memory for a design with an object for each function: the inputs are read, and nothing is done."""

LINK = """(component
  {imports}
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  {lowered}
  (core module $main
    (import "libc" "memory" (memory 1))
    {wanted}
    (func (export "size") (param i32 i32) (result i32) {body}))
  (core instance $main (instantiate $main (with "libc" (instance $libc)) {given}))
  (func $size (param "text" string) (result u32)
    (canon lift (core func $main "size") (memory $memory) (realloc $realloc)))
  (instance $out (export "size" (func $size)))
  (export "demo:link/l{number}" (instance $out)))
"""


def link(number: int) -> str:
    """A component that hands a string on to the one before it in the chain, and adds one to the answer."""
    if not number:
        return LINK.format(imports="", lowered="", wanted="", given="", number=0, body="(local.get 1)")
    before = f"demo:link/l{number - 1}"
    return LINK.format(
        imports=f'(import "{before}" (instance $in (export "size" (func (param "text" string) (result u32)))))',
        lowered='(core func $size (canon lower (func $in "size") (memory $memory)))',
        wanted='(import "in" "size" (func $size (param i32 i32) (result i32)))',
        given='(with "in" (instance (export "size" (func $size))))',
        body="(i32.add (call $size (local.get 0) (local.get 1)) (i32.const 1))",
        number=number,
    )


def many_functions(count: int) -> str:
    """A component with a core module of so many functions, all of which are needed."""
    functions = "".join(
        f"(func $f{i} (param i32) (result i32)"
        f" (call $f{i - 1} (i32.add (i32.mul (local.get 0) (i32.const {i * 7919 % 100_003}))"
        " (i32.load (i32.const 8)))))"
        for i in range(1, count)
    )
    return f"""(component
  (core module $m (memory 1) (func $f0 (param i32) (result i32) (local.get 0)) {functions}
    (export "run" (func $f{count - 1})))
  (core instance $i (instantiate $m))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))"""


def rows() -> list[Row]:
    """A row per size."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)

        def functions(count: int) -> list[Path]:
            path = place / f"f{count}.wasm"
            path.write_bytes(wasmtime.wat2wasm(many_functions(count)))
            return [path]

        def components(count: int) -> list[Path]:
            paths = [place / f"l{number}.wasm" for number in range(count)]
            for number, path in enumerate(paths):
                if not path.exists():
                    path.write_bytes(wasmtime.wat2wasm(link(number)))
            return paths

        return _series("functions", FUNCTIONS, functions, place) + _series("components", COMPONENTS, components, place)


def _series(what: str, sizes: Sequence[int], make: Callable[[int], list[Path]], place: Path) -> list[Row]:
    found: list[Row] = []
    measured: list[tuple[int, float, float]] = []
    inputs = {count: make(count) for count in sizes}
    out = place / "out.wasm"
    commands = {str(count): [BIN / "meldc", *paths, "-q", "-o", out] for count, paths in inputs.items()}
    runs = in_turn(commands, times=3)
    reading = in_turn({name: [sys.executable, "-c", READ, *inputs[int(name)]] for name in commands}, times=1)
    for count, paths in inputs.items():
        one = runs[str(count)]
        size = sum(path.stat().st_size for path in paths) / 1e6
        name = f"fuse {count:,} {what}, {size:.3g} MB"
        if not isinstance(one, Process):
            found.append(Row(name, one))
            continue
        measured.append((count, one.time.least, one.memory.median))
        target = "linear within 20 %" if len(measured) >= 3 else ""
        found.append(Row(name, one.time, target=target, reached=_growth(measured)))
        bound = f"≤ 4× input + 60 MB = {4 * size + 60:,.0f} MB"
        read = reading[str(count)]
        least = read.memory if isinstance(read, Process) else read
        reached = f"{one.memory.median:,.0f} MB"
        found.append(Row(f"{name}: peak memory", one.memory, floor=least, target=bound, reached=reached))
    return found


def _growth(measured: list[tuple[int, float, float]]) -> str:
    """What one more unit costs between the two largest sizes, against between the two before."""
    if len(measured) < 3:
        return ""
    (a, time_a, memory_a), (b, time_b, memory_b), (c, time_c, memory_c) = measured[-3:]
    parts = []
    for name, first, second, third in (("time", time_a, time_b, time_c), ("memory", memory_a, memory_b, memory_c)):
        before, after = (second - first) / (b - a), (third - second) / (c - b)
        parts.append(f"{name} {after / before:.2f}×" if before > 0 else f"{name}: too small to tell")
    return ", ".join(parts) + " per unit"


if __name__ == "__main__":
    show_rows("Growth, whole process", rows())
