"""What the compiler made is marked as such: in the IR, in the name section, by `--explain`, and by source lines.

The oracle for the last is `wasm-tools addr2line`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from smith import WASM_TOOLS, wasm_tools

import meld
from meld.binary.debug.dwarf import FILE, LINE_OF_KIND
from meld.binary.reader import read_module
from meld.ir.module import Function, Module
from meld.text.reading.program import parse
from meld.views.explain import made

ROOT = Path(__file__).parents[2]
STREAM = [ROOT / "examples/stream/producer.wat", ROOT / "examples/stream/consumer.wat"]

LIBC = """(core module $libc
      (memory (export "memory") 1)
      (global $top (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8)))))
      (func $start (global.set $top (i32.const 2048)))
      (start $start))
    (core instance $libc (instantiate $libc))"""

VALUES = f"""(component
  (component $callee
    {LIBC}
    (core module $m
      (import "libc" "memory" (memory 1))
      (func (export "f") (param i32 i32 i32 i32) (result i32) (i32.add (local.get 1) (local.get 3))))
    (core instance $i (instantiate $m (with "libc" (instance $libc))))
    (func $f (param "s" string) (param "l" (list (tuple string u32))) (result u32)
      (canon lift (core func $i "f") (memory $libc "memory") (realloc (func $libc "realloc")) string-encoding=utf16))
    (export "f" (func $f)))
  (component $caller
    (import "f" (func $f (param "s" string) (param "l" (list (tuple string u32))) (result u32)))
    {LIBC}
    (core func $lowered (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "host" "f" (func $f (param i32 i32 i32 i32) (result i32)))
      (func (export "run") (result i32) (call $f (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0))))
    (core instance $i (instantiate $m (with "host" (instance (export "f" (func $lowered))))))
    (func $run (result u32) (canon lift (core func $i "run")))
    (export "run" (func $run)))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
  (export "run" (func $caller "run")))"""

RESOURCES = """(component
  (component $callee
    (type $t (resource (rep i32)))
    (core func $new (canon resource.new $t))
    (core module $m
      (import "host" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 41)))
      (func (export "get") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
    (core instance $i (instantiate $m (with "host" (instance (export "new" (func $new))))))
    (export $r "r" (type $t))
    (func (export "make") (result (own $r)) (canon lift (core func $i "make")))
    (func (export "get") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "get"))))
  (component $caller
    (import "callee" (instance $callee
      (export "r" (type $r (sub resource)))
      (export "make" (func (result (own $r))))
      (export "get" (func (param "r" (borrow $r)) (result u32)))))
    (alias export $callee "r" (type $r))
    (core func $make (canon lower (func $callee "make")))
    (core func $get (canon lower (func $callee "get")))
    (core func $drop (canon resource.drop $r))
    (core module $m
      (import "host" "make" (func $make (result i32)))
      (import "host" "get" (func $get (param i32) (result i32)))
      (import "host" "drop" (func $drop (param i32)))
      (func (export "run") (result i32) (local $r i32)
        (local.set $r (call $make))
        (call $get (local.get $r))
        (call $drop (local.get $r))))
    (core instance $i (instantiate $m (with "host" (instance
      (export "make" (func $make)) (export "get" (func $get)) (export "drop" (func $drop))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "callee" (instance $callee))))
  (export "run" (func $caller "run")))"""

PROGRAMS: dict[str, tuple[str | list[Path], set[str]]] = {
    "streams": (STREAM, {"stream-bridge", "adapter-shim"}),
    "values": (VALUES, {"adapter", "transcode", "start-wrapper", "entry-guard", "trap"}),
    "resources": (RESOURCES, {"handle-table", "adapter", "entry-guard", "state", "trap"}),
}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Module, set[str]]:
    """A fused program, and the kinds of generated functions that it has to have."""
    source, kinds = PROGRAMS[request.param]
    if isinstance(source, str):
        path = tmp_path / "program.wat"
        path.write_text(source)
        source = [path]
    return meld.compile(source), kinds


def code(data: bytes) -> dict[int, tuple[int, int]]:
    """For each function by its index, the address of its first and of its last instruction, as wasm-tools prints it."""
    found: dict[int, tuple[int, int]] = {}
    index = None
    for line in wasm_tools("print", "--print-offsets", data=data).decode().splitlines():
        address, _, rest = line.removeprefix("(;@").partition(";)")
        function = re.match(r"\s+\(func .*?\(;(\d+);\)", rest)
        if function:
            index = int(function[1])
        elif rest == "  )":
            index = None
        elif index is not None and not rest.strip().startswith("(local"):
            first = found.get(index, (int(address, 16), 0))[0]
            found[index] = first, int(address, 16)
    return found


def places(path: Path, addresses: list[int]) -> list[tuple[str, str, int]]:
    """Function, file and line of addresses."""
    done = subprocess.run([WASM_TOOLS, "addr2line", path, *map(hex, addresses)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [re.fullmatch(r"0x\w+: (.*) (\S+):(\d+):0", line) for line in done.stdout.splitlines()]
    return [(match[1], match[2], int(match[3])) for match in found if match]


def test_all_four_agree(program: tuple[Module, set[str]], tmp_path: Path) -> None:
    module, kinds = program
    data = meld.encode(module)
    path = tmp_path / "out.wasm"
    path.write_bytes(data)
    functions: list[Function] = module.space("functions")
    generated = {i: f for i, f in enumerate(functions) if f.synthetic is not None}
    assert {f.synthetic for f in generated.values()} == kinds

    where = code(data)
    addresses = [(i, at) for i in generated for at in where[i]]
    for (i, _), place in zip(addresses, places(path, [at for _, at in addresses]), strict=True):
        function = generated[i]
        assert place == (function.name, FILE, LINE_OF_KIND.get(str(function.synthetic), 1))

    for i in set(where) - set(generated):  # code of the inputs has no place in that file
        done = subprocess.run([WASM_TOOLS, "addr2line", path, hex(where[i][0])], capture_output=True, text=True)
        assert FILE not in done.stdout

    named = read_module(data).space("functions")
    assert {i: named[i].name for i in generated} == {i: f.name for i, f in generated.items()}
    again = parse(meld.print_text(module), "dump.wat")
    assert isinstance(again, Module)
    assert {i: f.synthetic for i, f in enumerate(again.space("functions"))} == {
        i: f.synthetic for i, f in enumerate(functions)
    }
    explained = {name: (one.kind, one.line) for one in made(module) for name in one.functions}
    assert explained == {f.name: (f.synthetic, LINE_OF_KIND.get(str(f.synthetic), 1)) for f in generated.values()}


def test_lines_are_those_that_coverage_tools_read() -> None:
    assert list(LINE_OF_KIND.items()) == [
        *(("generated", 1), ("direct", 2), ("memory-copy", 3), ("transcode", 4), ("async", 5), ("handle-table", 6)),
        *(("start-wrapper", 7), ("adapter-shim", 8), ("task-return-shim", 9), ("stream-bridge", 10)),
    ]


def test_not_where_it_is_not_wanted() -> None:
    passes = "merge,detect-pairs,emit-bridge,rewire-calls,finish{lines=false}"
    data = meld.encode(meld.compile(STREAM, passes=passes))
    assert not [c for c in read_module(data).customs if c.name.startswith(".debug")]
