"""The binary format: what is read is written again, what is malformed is refused with an offset."""

from __future__ import annotations

import random
import struct

import pytest
import wasmtime
from smith import MIXES, MUTATIONS, SEEDS, printed, smith, wasm_tools

from meld.binary.leb import section
from meld.binary.reader import read_module
from meld.binary.writer import write_module
from meld.diagnostics import MeldError
from meld.ir.module import Function, Module

EVERYTHING = """
(module $m
  (type $t (struct (field $a i32) (field $b (mut i64))))
  (rec (type $r1 (sub (struct (field (ref null $r2))))) (type $r2 (sub (array (mut (ref null $r1))))))
  (type $s (sub final $r1 (struct (field (ref null $r2)) (field i8))))
  (type $arr (array (mut i8)))
  (import "a" "f" (func $imported (param i32 i64) (result f32)))
  (import "a" "g" (global $ig i32))
  (import "a" "t" (tag $it (param i32)))
  (table $tt 1 10 funcref)
  (table $tx 2 (ref null $t) (ref.null $t))
  (memory $m1 1 2) (memory $m2 i64 3) (memory $m3 1 2 shared)
  (tag $e (param i32))
  (global $g (mut i32) (i32.add (i32.const 1) (global.get $ig)))
  (elem $e0 (i32.const 0) $f) (elem $e1 func $f $imported) (elem $e2 declare func $f)
  (elem (table $tt) (i32.const 0) func $f)
  (elem $e3 funcref (ref.func $f) (ref.null func)) (elem (table $tx) (i32.const 0) (ref null $t) (ref.null $t))
  (data $d0 (memory $m1) (i32.const 4) "ab\\00c") (data $d1 "passive") (data (memory $m2) (i64.const 4) "x")
  (start $go)
  (func $go)
  (func $f (export "f") (param $p i32) (result i32) (local $l i64) (local $v v128)
    block $one
      loop $two
        local.get $p
        br_table $two $one $two
      end
    end
    block $one2 block $one (result i32)
    try_table $three (catch $e $one) (catch_all $one2)
      i32.const 1 throw $e
    end
    i32.const 0
    end drop end
    (memory.copy $m1 $m2 (i32.const 0) (i64.const 1) (i32.const 2))
    (memory.init $m2 $d1 (i64.const 0) (i32.const 0) (i32.const 1)) data.drop $d1
    (table.copy $tt $tt (i32.const 0) (i32.const 0) (i32.const 0))
    (table.init $tt $e1 (i32.const 0) (i32.const 0) (i32.const 0)) elem.drop $e1
    (v128.store $m3 offset=16 align=4 (i32.const 0) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31
      (v128.const i64x2 1 2) (local.get $v)))
    (drop (ref.test (ref null $t) (ref.null $t))) (drop (ref.cast (ref $t) (struct.new $t (i32.const 1) (i64.const 2))))
    (drop (select (result (ref null $t)) (ref.null $t) (ref.null $t) (i32.const 1)))
    (drop (call_indirect $tt (param i32) (result i32) (i32.const 1) (i32.const 0)))
    (drop (array.new_fixed $arr 2 (i32.const 1) (i32.const 2)))
    (block (result (ref null $t)) (br_on_cast 0 (ref null $t) (ref null $t) (ref.null $t))) drop
    (drop (i64.atomic.rmw.add $m3 (i32.const 0) (i64.const 1))) atomic.fence
    (drop (f32.const nan:0x200001)) (drop (f64.const -0x1.8p-3)) (drop (i64.const -9223372036854775808))
    (return_call $f (i32.const 0)))
  (@custom "first" (before first) "1") (@custom "mid" (after memory) "2") (@custom "last" (after data) "3"))
"""


@pytest.mark.parametrize("mix", MIXES)
def test_random_modules_are_read_and_written(mix: str) -> None:
    for seed in SEEDS:
        data = smith(seed, mix)
        if data is None:
            continue
        module = read_module(data)
        written = write_module(module)
        assert printed(written) == printed(data)
        decode_all(module)
        assert printed(write_module(module)) == printed(data)


def decode_all(module: Module) -> None:
    for function in module.functions:
        assert function.code is not None


def test_every_kind_of_entry_comes_back() -> None:
    data = wasm_tools("parse", "-", data=EVERYTHING.encode())
    module = read_module(data)
    assert printed(write_module(module)) == printed(data)
    decode_all(module)
    assert write_module(module) == write_module(read_module(data))


PADDED = {
    # what stands in the code section → what is written
    "10 80 80 80 80 00": "10 00",  # call 0
    "41 ff 80 80 80 00 1a": "41 ff 00 1a",  # i32.const 127
    "41 ff ff ff ff 7f 1a": "41 7f 1a",  # i32.const -1
    "41 c0 00 1a": "41 c0 00 1a",  # i32.const 64, as short as it goes
    "41 80 7f 1a": "41 80 7f 1a",  # i32.const -128
    "42 80 80 80 80 80 80 80 80 80 7f 1a": "42 80 80 80 80 80 80 80 80 80 7f 1a",  # the least i64
    "42 81 80 80 00 1a": "42 01 1a",
    "02 80 80 80 00 0b": "02 00 0b",  # block (type 0)
    "02 40 0c 80 00 0b": "02 40 0c 00 0b",  # br 0
    "41 00 28 02 81 80 80 80 00 1a": "41 00 28 02 01 1a",  # i32.load offset=1
    "41 00 28 42 80 00 08 1a": "41 00 28 02 08 1a",  # i32.load of a memory 0 that is named
    "41 00 28 42 81 00 08 1a": "41 00 28 42 01 08 1a",  # i32.load of memory 1
    "41 00 0e 81 00 80 00 00": "41 00 0e 01 00 00",  # br_table
    "43 00 00 80 3f fc 80 00 1a": "43 00 00 80 3f fc 00 1a",  # i32.trunc_sat_f32_s
}


def code_of(*bodies: str) -> bytes:
    """A module with a function per body, given as local declarations and instructions in hexadecimal."""
    code = " ".join(f"{len(bytes.fromhex(body)) + 1:02x} {body} 0b" for body in bodies)
    count = f"{len(bodies):02x}"
    return module_of({1: "01 60 00 00", 3: count + " 00" * len(bodies), 5: "02 00 00 00 00", 10: f"{count} {code}"})


@pytest.mark.parametrize("kernel", ["on", "off"])
def test_numbers_are_written_in_the_shortest_form(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELDC_KERNEL", kernel)
    data = code_of(*(f"00 {body}" for body in PADDED))
    wanted = code_of(*(f"00 {body}" for body in PADDED.values()))
    assert printed(data) == printed(wanted)
    decoded = read_module(data)
    decode_all(decoded)
    assert write_module(read_module(data)).hex() == write_module(decoded).hex() == wanted.hex()


@pytest.mark.parametrize("kernel", ["on", "off"])
def test_locals_are_declared_in_the_fewest_runs(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELDC_KERNEL", kernel)
    data = code_of("00", "03 01 7f 01 7f 01 7e", "01 00 7e", "01 82 00 7e", "02 01 70 01 63 70")
    assert write_module(read_module(data)) == code_of("00", "02 02 7f 01 7e", "00", "01 02 7e", "01 02 70")


def test_all_indices_move_when_items_are_inserted() -> None:
    """A body is renumbered without being decoded: same text as decoding and encoding it."""
    data = wasm_tools("parse", "-", data=EVERYTHING.encode())
    results = []
    for decode in (False, True):
        module = read_module(data)
        if decode:
            decode_all(module)
        donor = read_module(data)
        for space in ("functions", "tables", "memories", "globals", "tags", "elements", "datas"):
            # what is inserted is dead, but it shifts everything behind it
            fresh = [item for item in getattr(donor, space)[:2] if not isinstance(item, Function)]
            for item in fresh:
                item.name = None
            keep = [item for item in fresh if not needs_others(item)]
            getattr(module, space)[:0] = keep
        module.types[:0] = donor.types[:1]
        results.append(write_module(module))
    assert results[0] == results[1]
    wasm_tools("validate", "--features=all", "-", data=results[0])


def needs_others(item: object) -> bool:
    return any(getattr(item, a, None) for a in ("init", "offset", "functions", "expressions", "table", "memory")) or (
        type(item).__name__ in ("Tag", "Global") or "ref" in repr(getattr(item, "type", "")).lower()
    )


def module_of(sections: dict[int, str]) -> bytes:
    """A module from sections in hex."""
    out = b"\0asm\x01\0\0\0"
    for number, text in sections.items():
        payload = bytes.fromhex(text)
        out += section(number, payload)
    return out


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0asm\x01\0\0\0\x01\x84\x80\x80\x80\x04", "section 1: 1073741828 bytes announced, 0 left"),
        (b"\0asm\x01\0\0\0\x2a\x00", "offset 0x8: unknown section 42"),
        (module_of({3: "00", 1: "00"}), "offset 0xb: the type section is repeated or out of order"),
        (module_of({1: "ff ff ff ff 0f"}), "4294967295 types announced, 0 bytes left"),
        (module_of({1: "01 60 00 00", 3: "01 01"}), "unknown type 1"),
        (module_of({1: "01 60 00 00", 3: "01 00"}), "1 functions and 0 function bodies"),
        (module_of({1: "01 60 00 00", 3: "01 00", 10: "01 04 00 ff 00 0b"}), "offset 0x17: unknown opcode 0xff"),
        (module_of({1: "01 60 00 00", 3: "01 00", 10: "01 05 00 fc 7f 0b 0b"}), "unknown opcode 0xfc 0x7f"),
        (module_of({1: "01 60 00 00", 3: "01 00", 10: "01 04 00 10 07 0b"}), "index 7 is out of range: 1 functions"),
        (module_of({1: "01 60 00 00", 3: "01 00", 10: "01 03 00 02 40"}), "unexpected end"),
        (module_of({1: "01 60 00 00", 3: "01 00", 10: "01 03 00 0b 0b"}), "bytes after the `end`"),
        (module_of({2: "01 01 61 01 ff 00 00"}), "malformed UTF-8"),
        (b"\0asm\x02\0\0\0", "not a core module"),
    ],
)
def test_malformed_binaries_are_refused_with_an_offset(data: bytes, message: str) -> None:
    with pytest.raises(MeldError) as caught:
        write_module(read_module(data, where="x.wasm"))
    assert message in str(caught.value)
    assert str(caught.value).startswith("x.wasm: offset 0x")


def test_too_many_locals_are_refused() -> None:
    data = module_of({1: "01 60 00 00", 3: "01 00", 10: "01 08 01 ff ff ff ff 0f 7f 0b"})
    with pytest.raises(MeldError, match="more than 50000 locals"):
        decode_all(read_module(data))


def test_deep_nesting_is_no_trouble() -> None:
    depth = 100_000
    body = b"\0" + b"\x02\x40" * depth + b"\x0b" * depth + b"\x0b"
    code = b"\x01" + leb(len(body)) + body
    data = module_of({1: "01 60 00 00", 3: "01 00"}) + b"\x0a" + leb(len(code)) + code
    module = read_module(data)
    written = write_module(module)
    assert wasmtime.Module.validate(wasmtime.Engine(), written) is None
    decode_all(module)
    assert write_module(module) == written


def leb(n: int) -> bytes:
    return struct.pack("<5B", *(n >> 7 * i & 0x7F | (0x80 if i < 4 else 0) for i in range(5)))


def test_mutated_modules_give_clear_errors_only() -> None:
    rng = random.Random(7)
    seeds = [wasm_tools("parse", "-", data=EVERYTHING.encode()), *(smith(s, "all", 600) or b"" for s in range(3))]
    refused = 0
    for number in range(MUTATIONS):
        data = bytearray(seeds[number % len(seeds)])
        if rng.random() < 0.2:
            del data[rng.randrange(8, len(data)) :]
        else:
            for _ in range(rng.choice((1, 1, 2, 8))):
                data[rng.randrange(8, len(data))] ^= 1 << rng.randrange(8)
        try:
            module = read_module(bytes(data), where="m.wasm")
            decode_all(module)
            write_module(module)
        except MeldError as e:
            assert "offset 0x" in str(e), e
            refused += 1
    assert refused > MUTATIONS / 3


def test_an_object_that_is_not_in_the_module_is_named() -> None:
    data = wasm_tools("parse", "-", data=b"(module (func $f) (func $g call $f))")
    module = read_module(data)
    del module.functions[0]
    with pytest.raises(MeldError, match="the function `f` is used and is not in the module"):
        write_module(module)


def test_compact_imports_are_taken_apart() -> None:
    # "a" (group of one type: i32 global "x", "y")
    data = module_of({2: "01 01 61 00 7e 03 7f 00 02 01 78 01 79"})
    module = read_module(data)
    assert [str(item.imported) for item in module.imports] == ['"a" "x"', '"a" "y"']
    assert wasmtime.Module.validate(wasmtime.Engine(), write_module(module)) is None
