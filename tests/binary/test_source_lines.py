"""Lines of the inputs in the fused module: each instruction is from the file and line that it was from before.

`wasm-tools parse --generate-dwarf` gives the cores of two components lines of their text, `wasm-tools addr2line` reads
them before and after.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from smith import wasm_tools
from wrapped import fuse, meldc, tool

import meld
from meld.binary.debug.dwarf_lines import read_lines
from meld.binary.reader import read_module
from meld.diagnostics import MeldError

WIT = """package lab:lines;
interface store { get: func(k: u32) -> u32; text: func(s: string) -> string; }
world app { import store; export run: func(n: u32) -> u32; }
world provider { export store; }
"""

ALLOCATES = """
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    i32.const 4096
  )"""

CORES = {
    "app": f"""(module
  (import "lab:lines/store" "get" (func $get (param i32) (result i32)))
  (import "lab:lines/store" "text" (func $text (param i32 i32 i32)))
  {ALLOCATES}
  (func $helper (param $n i32) (result i32) (local i64 f64 i64)
    block $out (result i32)
      i32.const -3000000
      (i32.eqz (local.get $n))
      br_if $out
      drop
      loop
        (call $text (i32.const 0) (i32.const 1) (i32.const 16))
        (local.set $n (i32.sub (local.get $n) (i32.const 0x12345)))
        (br_table 0 0 0 (local.get $n))
      end
      unreachable
    end)
  (func $run (export "run") (param $n i32) (result i32)
    local.get $n
    call $helper
    (i32.store offset=300 (i32.const 8) (call $get (local.get $n)))
    (i32.add (i32.load offset=300 (i32.const 8)))
  ))""",
    "provider": f"""(module
  {ALLOCATES}
  (func $twice (param i32) (result i32)
    local.get 0
    i32.const 2
    i32.mul)
  (func $get (export "lab:lines/store#get") (param i32) (result i32)
    (if (result i32) (i32.gt_u (local.get 0) (i32.const 100))
      (then (i32.const 0))
      (else
        (call $twice (local.get 0)))))
  (func $dead unreachable)
  (func $text (export "lab:lines/store#text") (param i32 i32) (result i32)
    (i64.store (i32.const 32) (i64.const 0))
    i32.const 32))""",
}


def code_by_function(data: bytes) -> dict[str, list[int]]:
    """The addresses of the instructions of each function, by its name."""
    found: dict[str, list[int]] = {}
    current = None
    for line in wasm_tools("print", "--print-offsets", data=data).decode().splitlines():
        address, _, rest = line.removeprefix("(;@").partition(";)")
        if function := re.match(r"\s+\(func \$(\S+) \(;\d+;\)", rest):
            current = found.setdefault(function[1], [])
        elif rest == "  )":
            current = None
        elif current is not None and not rest.strip().startswith("(local"):
            current.append(int(address, 16))
    return found


def places(path: Path, addresses: list[int]) -> list[str]:
    """File, line and column of addresses."""
    found = tool("addr2line", path, *map(hex, addresses)).splitlines()
    return [line.rpartition(" ")[2] for line in found if re.match(r"0x\w+: ", line)]


@pytest.fixture(scope="module")
def cores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The core modules, with debugging information; beside each the component made of it."""
    directory = tmp_path_factory.mktemp("lines")
    (directory / "lines.wit").write_text(WIT)
    for name, text in CORES.items():
        source, core = directory / f"{name}.wat", directory / f"{name}.core.wasm"
        source.write_text(text)
        tool("parse", "--generate-dwarf=full", source, "-o", core)
        tool("component", "embed", directory / "lines.wit", "-w", name, core, "-o", directory / "embedded.wasm")
        tool("component", "new", directory / "embedded.wasm", "-o", directory / f"{name}.wasm")
    return {name: directory / f"{name}.core.wasm" for name in CORES}


def component(core: Path) -> Path:
    return core.with_name(core.name.replace(".core", ""))


@pytest.mark.parametrize("kernel", ["on", "off"])
def test_each_instruction(cores: dict[str, Path], kernel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELDC_KERNEL", kernel)
    fused = tmp_path / "fused.wasm"
    program = meld.compile([component(core) for core in cores.values()])
    fused.write_bytes(meld.encode(program))
    tool("validate", "--features=all", fused)
    after = code_by_function(fused.read_bytes())
    compared = 0
    for instance, core in cores.items():
        for name, addresses in code_by_function(core.read_bytes()).items():
            if name == "dead":
                assert f"{instance}/{name}" not in after
                continue
            there = after[f"{instance}/{name}"]
            want = places(core, addresses)
            assert places(fused, there) == want
            assert all(place.partition(":")[0].endswith(f"{instance}.wat") for place in want)
            assert f" {name} " in tool("addr2line", fused, hex(there[0]))
            compared += len(there)
    assert compared > 40
    made = [a for name, addresses in after.items() if "adapter" in name for a in addresses]
    assert made and all(place.startswith("<meld-adapter>:") for place in places(fused, made))


def test_in_a_component(cores: dict[str, Path], tmp_path: Path) -> None:
    """Addresses are those of the file; the debugging information is in the core module."""
    app, provider = (component(core) for core in cores.values())
    whole = fuse([app, provider], tmp_path / "whole.wasm")
    tool("component", "unbundle", whole, "--module-dir", tmp_path, "-o", tmp_path / "rest.wasm", "--threshold", "200")
    largest = max(tmp_path.glob("unbundled-module*.wasm"), key=lambda path: path.stat().st_size)
    there = code_by_function(largest.read_bytes())["provider/twice"]
    before = code_by_function(cores["provider"].read_bytes())["twice"]
    assert places(largest, there) == places(cores["provider"], before)


def test_malformed_is_left_out(cores: dict[str, Path], tmp_path: Path) -> None:
    """Cut or wrong debugging information is a remark; the program is fused all the same."""
    data = component(cores["provider"]).read_bytes()
    at = data.index(b".debug_line") + len(b".debug_line")
    (tmp_path / "provider.wasm").write_bytes(data[: at + 4] + b"\x63" + data[at + 5 :])
    out = tmp_path / "fused.wasm"
    done = meldc(component(cores["app"]), tmp_path / "provider.wasm", "-o", out)
    assert done.returncode == 0
    assert "malformed debugging information" in done.stderr
    tool("validate", "--features=all", out)
    assert ".wat:" in tool("addr2line", out, hex(code_by_function(out.read_bytes())["app/run"][0]))


def test_mutated_sections_are_read_or_refused(cores: dict[str, Path]) -> None:
    sections = {s.name: bytes(s.data) for s in read_module(cores["app"].read_bytes()).customs if "debug" in s.name}
    assert read_lines(sections)
    for name, data in sections.items():
        for at in range(min(len(data), 400)):
            for changed in (data[:at], data[:at] + bytes((data[at] ^ 0x55,)) + data[at + 1 :]):
                try:
                    units = read_lines({**sections, name: changed})
                except MeldError:
                    continue
                assert all(row[0] < row[1] for unit in units for row in unit.rows)
    with pytest.raises(MeldError, match="malformed debugging information"):
        read_lines({".debug_info": struct.pack("<IHIB", 7, 4, 0, 4) + b"\1"})
