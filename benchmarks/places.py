"""What the places of docs/deploy.md cost: sizes of a program for each of them, and accesses of an imported memory."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import wasmtime
from measure import BIN, FIXTURES, MISSING, NO_INPUT, REFUSED, Row, Sample, process, show_rows
from running import interleaved, times

FORMS: dict[str, tuple[str, ...]] = {
    "component": ("--emit=component",),
    "component, --target=wasm2": ("--emit=component", "--target=wasm2"),
    "core module": (),
    "core module, --target=wasm2": ("--target=wasm2",),
    "core module, --target=lime1": ("--target=lime1",),
    "core module, --target=wasm1": ("--target=wasm1",),
}

LOOP = """(module {memory}
  (func (export "run") (param $n i32) (result i32)
    (loop $next
      (i32.store offset=8 (i32.const 0) (i32.add (i32.load offset=8 (i32.const 0)) (local.get $n)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.load offset=8 (i32.const 0))))"""
TURNS = 1_000_000

START = """
import sys, pywasm
pywasm.core.Runtime().instance_from_file(sys.argv[1])
"""


def rows() -> list[Row]:
    """Sizes, the imported memory, and the start in an interpreter that sets all pages to zero."""
    found: list[Row] = []
    source = FIXTURES / "greet/comp-cc.wasm"
    if not source.exists():
        return [Row("places: greet, C and C", NO_INPUT)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.wasm"
        unfused = _size(source)
        for form, options in FORMS.items():
            subprocess.run([BIN / "meldc", source, *options, "-q", "-o", out], check=True)
            found.append(Row(f"places: greet, C and C, {form}: size", _size(out), unfused=unfused))
        found.append(_start(source, out))
        found.append(_optimized(source, out))
    runs = {what: _loop(memory) for what, memory in (("own", "(memory 1)"), ("imported", '(import "" "" (memory 1))'))}
    taken = interleaved(runs, dict.fromkeys(runs, TURNS), 15)
    reached = f"{times(taken['imported'], taken['own']):.2f} × the floor"
    words = "places: a load and a store with their loop, memory imported"
    found.append(Row(words, taken["imported"], floor=taken["own"], reached=reached))
    return found


def _size(path: Path) -> Sample:
    return Sample((path.stat().st_size / 1e3,), unit="KB")


def _start(source: Path, out: Path) -> Row:
    """A process that instantiates the program for small engines, beside one that only imports the interpreter."""
    what = "places: greet, C and C, for lime1: start in pywasm"
    python = next((p for p in (shutil.which(n) for n in ("python3", "python")) if p and _has_pywasm(p)), None)
    if python is None:
        return Row(what, MISSING)
    subprocess.run([BIN / "meldc", source, "--target=lime1", "-q", "-o", out], check=True)
    ours, floor = process(python, "-c", START, out, times=5), process(python, "-c", "import pywasm", times=5)
    if isinstance(ours, str) or isinstance(floor, str):
        return Row(what, REFUSED)
    return Row(what, ours.time, floor=floor.time)


def _has_pywasm(python: str) -> bool:
    return subprocess.run([python, "-c", "import pywasm"], capture_output=True).returncode == 0


def _optimized(source: Path, out: Path) -> Row:
    """The component after `jco opt`."""
    what = "places: greet, C and C, component after jco opt: size"
    jco = shutil.which("jco")
    if jco is None:
        return Row(what, MISSING)
    subprocess.run([BIN / "meldc", source, "--emit=component", "-q", "-o", out], check=True)
    small = out.with_name("small.wasm")
    subprocess.run([jco, "opt", out, "-o", small, "-q", "--", "-O2", "--all-features"], check=True, capture_output=True)
    return Row(what, _size(small), unfused=_size(source))


def _loop(memory: str) -> Callable[[int], object]:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    module = wasmtime.Module(engine, LOOP.replace("{memory}", memory))
    given = [wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(1, None)))] if "import" in memory else []
    run = wasmtime.Instance(store, module, given).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    return lambda n: run(store, n)


if __name__ == "__main__":
    show_rows("The places where a program runs", rows())
