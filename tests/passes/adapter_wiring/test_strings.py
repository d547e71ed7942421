"""Strings and lists of chars and bools that cross a boundary, against Python's own decoders: any bytes, any length."""

from __future__ import annotations

import itertools
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import meld
from meld.passes.adapter_wiring import INLINED_CALLS
from meld.runtime.instantiate import Running, Trapped, instantiate

FROM, TO, LARGEST = 1 << 10, 1 << 14, 8
SEEDS = max(1, int(os.environ.get("MELD_SEEDS", "8")) // 8)
"""More of them, more cases: a call that traps takes its time."""
TAG, COMPACT = 1 << 31, "latin1+utf16"
CODECS = {"utf8": "utf-8", "utf16": "utf-16-le"}
Give = Callable[[bytes, int], bytes]
"""Gives bytes with a length; what arrived, as bytes of the callee's memory."""


def pair(
    directory: Path, type_: str, lower: str = "utf8", lift: str = "utf8", adapters: int = 1, *, simd: bool = True
) -> Running:
    """A caller with an export `give(ptr, length)`, and a callee that keeps what it is given at `TO`.

    The more adapters there are the less is inlined in each (`meld.passes.adapter_wiring.INLINED_CALLS`).
    """
    one = f'(canon lower (func $take) (memory (core memory $m "memory")) string-encoding={lower})'
    more = range(1, adapters)
    caller = f"""(component $caller
  (import "bench:it/calls" (instance $it (export "take" (func (param "s" {type_}) (result u64)))))
  (alias export $it "take" (func $take))
  (core module $memory (memory (export "memory") 1))
  (core instance $m (instantiate $memory))
  (core func $take {one}) {"".join(f"(core func $take{n} {one})" for n in more)}
  (core module $main
    (import "" "take" (func $take (param i32 i32) (result i64)))
    {"".join(f'(import "" "take{n}" (func (param i32 i32) (result i64)))' for n in more)}
    (func (export "give") (param i32 i32) (result i64) (call $take (local.get 0) (local.get 1))))
  (core instance $i (instantiate $main (with "" (instance (export "take" (func $take))
    {"".join(f'(export "take{n}" (func $take{n}))' for n in more)}))))
  (func (export "give") (param "p" u32) (param "n" u32) (result u64) (canon lift (core func $i "give"))))"""
    callee = f"""(component $callee
  (core module $main
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (if (i32.gt_u (local.get 3) (i32.load (i32.const {LARGEST})))
        (then (i32.store (i32.const {LARGEST}) (local.get 3))))
      (i32.const {TO}))
    (func (export "take") (param i32 i32) (result i64) (i64.extend_i32_u (local.get 1))))
  (core instance $i (instantiate $main))
  (func $take (param "s" {type_}) (result u64)
    (canon lift (core func $i "take") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc")) string-encoding={lift}))
  (instance $it (export "take" (func $take)))
  (export "bench:it/calls" (instance $it)))"""
    paths = [directory / "caller.wat", directory / "callee.wat"]
    for path, text in zip(paths, (caller, callee), strict=True):
        path.write_text(text)
    # without guard-entries, so that one instance serves after a trap
    return instantiate(meld.compile(paths, passes=f"adapter-wiring{{simd={simd}}},finish"))


def giver(running: Running, unit: int) -> Give:
    """`unit`: bytes of one code unit or element of the callee."""
    names = [memory.name or "" for memory in running.module.memories]
    source, target = (next(i for i, name in enumerate(names) if name.startswith(who)) for who in ("caller", "callee"))

    def give(data: bytes, length: int) -> bytes:
        running.memory(source)[FROM : FROM + len(data)] = data
        running.memory(target)[LARGEST : LARGEST + 4] = bytes(4)
        running.memory(target)[TO - 64 : TO + 4096] = b"\xee" * (4096 + 64)
        arrived = running.call("give", FROM, length)
        arrived = (arrived & 0x7FFFFFFF) * 2 if arrived & TAG else arrived * unit
        memory = bytes(running.memory(target))
        end = TO + int.from_bytes(memory[LARGEST : LARGEST + 4], "little")
        assert memory[TO - 64 : TO] == b"\xee" * 64, "bytes in front are written"
        assert not memory[end : TO + 4096].strip(b"\xee"), "bytes behind the block are written"
        return memory[TO : TO + arrived]

    return give


def texts(rng: random.Random, count: int) -> Iterator[str]:
    """Texts of any length, plain for the most part or not at all, long enough for every loop."""
    alphabets = ["abc de", "aé", "abcdefghijklmnopé", "Ωж", "中日a", "😀a", "aé中😀", "a" * 40 + "😀"]
    alphabets += ["\0\x7f\x80\u07ff\U00010000\U0010ffff", "é😀", "abcdefghij😀", "\0é", "\u0800\uffff\U00010000a"]
    alphabets += [
        "où était l'été",
        "Ξεσκεπάζω τὴν",
        "Съешь ещё",
        "色は匂へど、",
        "色は匂",
        "色é",
        "".join(map(chr, range(256))),
    ]
    alphabets += ["".join(chr(rng.choice((rng.randrange(0xD800), rng.randrange(0x800)))) for _ in range(40))]
    for n in range(count):
        yield "".join(rng.choices(rng.choice(alphabets), k=n % 300))


@pytest.mark.parametrize("adapters", [1, INLINED_CALLS + 1])
@pytest.mark.parametrize(("lower", "lift"), list(itertools.product(CODECS, CODECS)))
def test_text_arrives_as_it_is(lower: str, lift: str, adapters: int, tmp_path: Path) -> None:
    running = pair(tmp_path, "string", lower, lift, adapters)
    names = [function.name or "" for function in running.module.functions]
    assert any(name.startswith("adapter.string") for name in names) == (adapters > 1)
    give = giver(running, 1 if lift == "utf8" else 2)
    for text in texts(random.Random(lower + lift), 900):
        data = text.encode(CODECS[lower])
        length = len(data) if lower == "utf8" else len(data) // 2
        assert give(data, length) == text.encode(CODECS[lift]), text


@pytest.mark.parametrize(("lower", "lift"), list(itertools.product((*CODECS, COMPACT), (*CODECS, COMPACT))))
def test_without_simd(lower: str, lift: str, tmp_path: Path) -> None:
    """Scalar code does what SIMD does, with texts and with bytes that are none."""
    rng = random.Random(lower + lift)
    unit = 1 if lift == "utf8" else 2
    sides = [
        giver(pair(tmp_path, "string", lower, lift, simd=simd), unit if lift != COMPACT else 1)
        for simd in (True, False)
    ]
    for text in texts(rng, 300):
        data, length = compact(text) if lower == COMPACT else (text.encode(CODECS[lower]), 0)
        length = length or (len(data) if lower == "utf8" else len(data) // 2)
        if rng.random() < 0.2 and data:
            data = bytes(byte if rng.random() < 0.98 else rng.randrange(256) for byte in data)
        answers = []
        for give in sides:
            try:
                answers.append(str(give(data, length)))
            except Trapped as e:
                answers.append(str(e).splitlines()[0])
        assert answers[0] == answers[1], (data, length)


def compact(text: str) -> tuple[bytes, int]:
    """Text in latin1+utf16, with its length."""
    if max(text, default="") < "\u0100":
        return text.encode("latin-1"), len(text)
    data = text.encode("utf-16-le")
    return data, len(data) // 2 | TAG


@pytest.mark.parametrize("adapters", [1, INLINED_CALLS + 1])
@pytest.mark.parametrize(
    ("lower", "lift"), [(COMPACT, other) for other in (*CODECS, COMPACT)] + [(c, COMPACT) for c in CODECS]
)
def test_text_in_two_encodings_arrives(lower: str, lift: str, adapters: int, tmp_path: Path) -> None:
    running = pair(tmp_path, "string", lower, lift, adapters)
    names = [function.name or "" for function in running.module.functions]
    assert any(name.startswith("adapter.string") for name in names) == (adapters > 1)
    assert not any("_to_" in name or name.startswith("adapter.bytes") for name in names)
    give = giver(running, 2 if lift == "utf16" else 1)
    for text in texts(random.Random(lower + lift), 900):
        data, length = compact(text)
        if lower != COMPACT:
            data = text.encode(CODECS[lower])
            length = len(data) if lower == "utf8" else len(data) // 2
        expected = compact(text)[0] if lift == COMPACT else text.encode(CODECS[lift])
        assert give(data, length) == expected, text


@pytest.mark.parametrize("lower", [*CODECS, COMPACT])
def test_utf16_that_fits_latin1_becomes_latin1(lower: str, tmp_path: Path) -> None:
    give = giver(pair(tmp_path, "string", COMPACT, lower), 2 if lower == "utf16" else 1)
    for text in texts(random.Random(lower), 300):
        narrow = "".join(char for char in text if char < "\u0100")
        data = narrow.encode("utf-16-le")
        expected = narrow.encode("latin-1" if lower == COMPACT else CODECS[lower])
        assert give(data, len(narrow) | TAG) == expected, narrow


def broken_utf8(rng: random.Random) -> Iterator[bytes]:
    """Every first byte with second ones at the borders of every rule, at every place in a block; and random damage."""
    borders = (0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0)
    every = list(itertools.product(range(0x80, 0x100), borders, (0x7F, 0x80, 0xBF), (0x41, 0x80)))
    for a, b, c, d in rng.sample(every, min(800 * SEEDS, len(every))):
        place = rng.randrange(40)
        around = rng.choice(("a", "é", "中")) * 40
        front = around.encode()[: place // len(around[0].encode()) * len(around[0].encode())]
        yield front + bytes((a, b, c, d)) + rng.choice(("z", "ж", "中", "ὴ τ")).encode() * rng.choice((0, 1, 20))
    for text in texts(rng, 300 * SEEDS):
        data = bytearray(text.encode())
        for _ in range(rng.randint(1, 2) if data else 0):
            data[rng.randrange(len(data))] = rng.choice((0x41, 0x80, 0xBF, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xFF))
        yield bytes(data[: rng.randint(0, len(data))])
    for size in range(72 * SEEDS):  # short, damaged for the most part at the end
        data = "".join(rng.choices("aaaé中😀", k=size % 72)).encode()[: size % 72]
        yield data + rng.choice((b"", b"\x80", b"\xc3", b"\xe4\xb8", b"\xf0\x9f\x98"))


@pytest.mark.parametrize(
    ("lift", "adapters"), [*itertools.product((*CODECS, COMPACT), [1]), ("utf8", INLINED_CALLS + 1)]
)
def test_bytes_that_are_no_utf8_trap(lift: str, adapters: int, tmp_path: Path) -> None:
    give = giver(pair(tmp_path, "string", "utf8", lift, adapters), 2 if lift == "utf16" else 1)
    for data in broken_utf8(random.Random(lift)):
        _as_python_decodes(give, data, len(data), "utf-8", lift, "invalid utf8 encoding")


@pytest.mark.parametrize("lift", [*CODECS, COMPACT])
def test_code_units_that_are_no_utf16_trap(lift: str, tmp_path: Path) -> None:
    give = giver(pair(tmp_path, "string", "utf16", lift), 2 if lift == "utf16" else 1)
    rng = random.Random(lift)
    for text in texts(rng, 450 * SEEDS):
        units = [text.encode("utf-16-le")[i : i + 2] for i in range(0, len(text.encode("utf-16-le")), 2)]
        for _ in range(rng.randint(0, 2) if units else 0):
            units[rng.randrange(len(units))] = rng.choice((b"\0\xd8", b"\xff\xdb", b"\0\xdc", b"\xff\xdf", b"\0\xe0"))
        data = b"".join(units)
        _as_python_decodes(give, data, len(units), "utf-16-le", lift, "invalid utf16 encoding")


def _as_python_decodes(give: Give, data: bytes, length: int, codec: str, to: str, trap: str) -> None:
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        with pytest.raises(Trapped) as caught:
            give(data, length)
        assert re.search(re.escape(trap), " ".join(caught.value.backtrace)), data.hex()
    else:
        expected = compact(text)[0] if to == COMPACT else text.encode(CODECS[to])
        assert give(data, length) == expected, data.hex()


@pytest.mark.parametrize("adapters", [1, INLINED_CALLS + 1])
def test_lists_of_chars(adapters: int, tmp_path: Path) -> None:
    running = pair(tmp_path, "(list char)", adapters=adapters)
    names = {(function.name or "").rstrip("0123456789") for function in running.module.functions}
    assert names & {"adapter.list.", "adapter.elements.", "adapter.char."} == (
        {"adapter.list."} if adapters > 1 else set()
    )
    give = giver(running, 4)
    rng = random.Random(1)
    for n in range(200):
        chars = rng.choices((0, 0x41, 0xD7FF, 0xE000, 0xFFFF, 0x10FFFF), k=n % 40)
        if chars and n % 2:
            chars[rng.randrange(len(chars))] = rng.choice((0xD800, 0xDFFF, 0x110000, 0x8000_0000, 0xFFFF_FFFF, 0x42))
        data = b"".join(char.to_bytes(4, "little") for char in chars)
        if all(char < 0xD800 or 0xE000 <= char < 0x110000 for char in chars):
            assert give(data, len(chars)) == data
        else:
            with pytest.raises(Trapped) as caught:
                give(data, len(chars))
            assert "invalid `char` bit pattern" in caught.value.backtrace[0], chars


def test_lists_of_bools(tmp_path: Path) -> None:
    give = giver(pair(tmp_path, "(list bool)"), 1)
    rng = random.Random(2)
    for n in range(200):
        data = bytes(rng.choices((0, 1, 2, 0x80, 0xFF), k=n % 70))
        assert give(data, len(data)) == bytes(byte != 0 for byte in data)
