"""The component binary format: what is read is written again, what is malformed is refused with an offset."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import component_samples as samples
import pytest
from smith import WASM_TOOLS, printed, wasm_tools

from meld.binary.component.codes import PREAMBLE
from meld.binary.component.reader import read_component
from meld.binary.component.writer import write_component
from meld.binary.reader import MAGIC as MODULE_PREAMBLE
from meld.diagnostics import MeldError
from meld.ir.builtins import BUILTINS, Operand
from meld.ir.component import CanonBuiltin, Component

SHARED = Path(__file__).parents[3] / "shared"
FIXTURES = sorted((SHARED / "fixtures").rglob("*.wasm"))
SUITES = sorted((SHARED / "conformance" / "suites").rglob("*.wast"))

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not there")

GONE = "`cancellable`"
"""What wasm-tools and engines have ceased to accept since the suites were written."""


def wat(text: str) -> bytes:
    return wasm_tools("parse", data=text.encode())


def is_component(data: bytes) -> bool:
    return data[:8] == PREAMBLE


def valid(data: bytes) -> bool:
    done = subprocess.run([WASM_TOOLS, "validate", "--features", "all"], input=data, capture_output=True)
    return done.returncode == 0


def text_of(data: bytes) -> str:
    """The text; of a large component without the bodies, which are no concern of this room."""
    return printed(data) if len(data) < 1_000_000 else wasm_tools("print", "--skeleton", data=data).decode()


def round_trip(data: bytes, where: str = "", validates: bool = True) -> Component:
    """Reads and writes; what was written means the same by wasm-tools, and is a fixed point."""
    component = read_component(data, where)
    written = write_component(component)
    if written != data:  # equal bytes mean the same
        assert text_of(written) == text_of(data)
        assert valid(written) or not validates
        assert write_component(read_component(written)) == written
    return component


# --- what is valid -------------------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_fixtures(path: Path) -> None:
    data = path.read_bytes()
    assert is_component(data)
    component = round_trip(data, path.name)
    assert component.where == path.name


@pytest.mark.parametrize("name", ["BUILTINS", "TYPES", "VALUES", "CUSTOMS"])
def test_every_form(name: str) -> None:
    data = wat(getattr(samples, name))
    assert valid(data)
    assert write_component(read_component(data)) == data


def test_forms_that_no_validator_takes_here() -> None:
    data = wat(samples.UNVALIDATED)
    assert write_component(read_component(data)) == data


def test_every_builtin_is_in_the_samples() -> None:
    found = {
        item.builtin
        for text in (samples.BUILTINS, samples.UNVALIDATED)
        for item in read_component(wat(text)).of(CanonBuiltin)
    }
    assert found == set(BUILTINS)


def commands(path: Path, into: Path) -> list[dict[str, str]]:
    """The commands of a wast file that name a component, with its bytes in `into`."""
    done = subprocess.run(
        [WASM_TOOLS, "json-from-wast", str(path), "--wasm-dir", str(into), "-o", str(into / "commands.json")],
        env={**os.environ, "WAST_STRICT_COMPONENT_INDICES": "0"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        assert GONE in done.stderr, done.stderr
        pytest.skip("wasm-tools does not take the file: `cancellable` is gone")
    found = json.loads((into / "commands.json").read_text())["commands"]
    return [c for c in found if c.get("filename", "").endswith(".wasm")]


@needs_shared
@pytest.mark.parametrize("path", SUITES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_suites(path: Path, tmp_path: Path) -> None:
    for command in commands(path, tmp_path):
        data = (tmp_path / command["filename"]).read_bytes()
        where = f"{path.name}:{command['line']}"
        if command["type"] in ("module", "module_definition"):
            if not is_component(data):
                continue
            try:
                round_trip(data, where)
            except MeldError as e:
                assert e.hint is not None and GONE in e.hint, f"{where}: {e}"
                assert not valid(data)
        elif command["type"] == "assert_malformed":
            with pytest.raises(MeldError, match="offset 0x"):
                write_component(read_component(data, where))
        else:
            try:
                round_trip(data, where, validates=False)
            except MeldError as e:  # validation is not the reader's work, but it may see what a validator would
                assert command["type"] == "assert_invalid", str(e)


# --- what is malformed ---------------------------------------------------------------------------------------------


def mutate(data: bytes, r: random.Random) -> bytes:
    changed = bytearray(data)
    at = r.randrange(8, len(data))
    match r.randrange(4):
        case 0:
            del changed[at:]
        case 1:
            for _ in range(r.randrange(1, 4)):
                changed[r.randrange(len(data))] ^= 1 << r.randrange(8)
        case 2:
            changed[at] = r.randrange(256)
        case _:
            changed[at : at + r.randrange(3)] = r.randbytes(r.randrange(4))
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
def test_mutations(seed: int) -> None:
    """500 changed components each: an error with an offset, or something that is written and read again."""
    r = random.Random(seed)
    originals = [wat(text) for text in (samples.BUILTINS, samples.TYPES, samples.VALUES, samples.CUSTOMS)]
    originals += [p.read_bytes() for p in FIXTURES if p.stat().st_size < 20_000]
    refused: list[bytes] = []
    for _ in range(500):
        data = mutate(r.choice(originals), r)
        try:
            component = read_component(data, "mutant")
            written = write_component(component)
        except MeldError as e:
            assert str(e).startswith("mutant: ") and "offset 0x" in str(e)
            refused.append(data)
        else:
            assert write_component(read_component(written)) == written
    for data in refused[:10]:
        assert not valid(data)
    assert len(refused) > 100


def sections(*parts: tuple[int, str]) -> bytes:
    """A component of sections given as id and payload in hexadecimal."""
    return PREAMBLE + b"".join(bytes((i, len(b := bytes.fromhex(payload)))) + b for i, payload in parts)


MALFORMED = [
    (b"", "offset 0x0: not a component"),
    (b"\0asm\x01\0\0\0", "offset 0x0: this is a core module"),
    (b"\0asm\x0a\0\x01\0", "offset 0x0: component format version 10"),
    (sections((12, "01 7f 01 01")), "offset 0x8: unknown section 12"),
    (sections((7, "01 62")), "offset 0xb: unknown type 0x62"),
    (sections((7, "01 7f 00")), r"offset 0xc: the section \(type\) has bytes after its end"),
    (sections((7, "01 70 05")), "offset 0xc: unknown type 5"),
    (sections((7, "02 40 00 01 00 70 00")), "offset 0x10: this type is not a value type"),
    (sections((7, "ff ff ff ff 0f 7f")), "offset 0xa: 4294967295 types announced, 1 bytes left"),
    (sections((7, "01 40 00 01 01")), "offset 0xe: malformed count of results"),
    (sections((6, "01 06 00 00 00")), "offset 0xb: unknown sort 0x06"),
    (sections((6, "01 00 05 01 00 00")), "offset 0xc: unknown core sort 0x05"),
    (sections((6, "01 02 02 00 00")), "offset 0xb: this kind of alias has no sort value"),
    (sections((6, "01 03 02 01 00")), "offset 0xd: an outer alias of depth 1"),
    (sections((8, "01 0c 01")), "offset 0xc: malformed byte of `thread.yield`"),
    (sections((8, "01 08")), "offset 0xb: unknown canonical definition 0x08"),
    (sections((8, "01 1c 01 0a")), "offset 0xd: unknown option 0x0a"),
    (sections((8, "01 1c 02 00 01")), "offset 0xe: the option encoding is given twice"),
    (sections((10, "01 03 01 61 03 01")), "offset 0xb: unknown form 0x03 of an import or export name"),
    (sections((10, "01 02 01 61 01 03 00 03 01")), "offset 0xf: unknown attribute 0x03"),
    (sections((10, "01 02 01 61 02 02 01 62 02 01 62 03 01")), "offset 0x12: the name `a` has .* external-id twice"),
    (sections((10, "01 00 01 ff 03 01")), "offset 0xc: import or export name: malformed UTF-8"),
    (sections((11, "01 00 01 61 00 00 00 00")), "offset 0xe: .* core func cannot be"),
    (sections((10, "01 00 01 61 01 00")), "offset 0xf: unknown type 0"),
    (sections((7, "01 40 00 01 00"), (10, "01 00 01 66 01 00"), (9, "00 00 ff ff ff ff 0f")), "offset 0x1b: a start"),
    (sections((3, "01 00 5f 00")), "offset 0xc: malformed core type"),
    (sections((3, "02 50 00 60 01 63 00 00")), "offset 0x10: type 0 is not a core type"),
    (sections((3, "01 50 01 02 10 01 00 00")), "offset 0x10: an outer alias of depth 0"),
    (sections((4, "00 61 73 6d 0d 00 01 00 07 01 01")), r"x: component 0: offset 0x14: 1 types announced, 0 bytes"),
    (
        sections((4, "00 61 73 6d 0d 00 01 00 01 0b 00 61 73 6d 01 00 00 00 03 01 01")),
        "x: component 0: core module 0: offset 0x1e: 1 functions announced, 0",
    ),
]


@pytest.mark.parametrize(("data", "message"), MALFORMED, ids=[message[:40] for _, message in MALFORMED])
def test_malformed(data: bytes, message: str) -> None:
    with pytest.raises(MeldError, match=f"^x: .*{message.removeprefix('x: ')}"):
        read_component(data, "x")
    assert not valid(data) or data[:8] == MODULE_PREAMBLE


def nested(depth: int) -> bytes:
    """Components `depth` levels deep."""
    data = PREAMBLE
    for _ in range(depth - 1):
        size = len(data)
        length = bytearray()
        while size >= 128:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        data = PREAMBLE + b"\x04" + bytes((*length, size)) + data
    return data


def test_nesting() -> None:
    deep = nested(100)
    assert write_component(read_component(deep)) == deep
    for depth in (101, 3000):
        with pytest.raises(MeldError, match="nest more than 100 deep"):
            read_component(nested(depth))


def test_nesting_of_types() -> None:
    def types(depth: int) -> bytes:
        payload = b"\x01" + b"\x42\x01\x01" * depth + b"\x7f"
        size = len(payload)
        return PREAMBLE + b"\x07" + bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14)) + payload

    component = read_component(types(99))
    assert read_component(write_component(component)).definitions
    for depth in (100, 5000):
        with pytest.raises(MeldError, match="nest more than 100 deep"):
            read_component(types(depth))


def test_a_chain_of_exports_is_read_in_linear_time_and_without_recursion() -> None:
    count = 20_000
    entries = [b"\0\x01a\x01" + leb(max(0, i)) + b"\0" for i in range(count)]
    payload = leb(count) + b"".join(entries)
    head = sections((7, "01 40 00 01 00"), (10, "01 00 01 66 01 00"))
    data = head + b"\x0b" + leb(len(payload)) + payload
    assert write_component(read_component(data)) == data


def leb(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def test_operands_of_builtins_are_all_known() -> None:
    assert {operand for builtin in BUILTINS.values() for operand in builtin.operands} == set(Operand)
