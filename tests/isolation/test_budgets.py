"""Small inputs that ask for much are compiled, or refused with a reason: in little time, and within a gigabyte."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import hostile_inputs as h
import pytest
from measured import Compiler, forked
from smith import WASM_TOOLS

from meld.diagnostics import MeldError
from meld.text.grammar import lexer
from meld.text.reading.program import parse

MEMORY = 1 << 30

LISTS = "(type $t0 (tuple string string)) " + " ".join(
    f"(type $l{i} (list $t{i - 1})) (type $t{i} (tuple $l{i} $l{i}))" for i in range(1, 16)
)
NAMED = f"(core module ${'a' * 9000} (func $s) (start $s)) (core instance (instantiate 0))"
HALVES = "(result {0} (error {0}))"
BLOCKS = "block " * 20_000 + "end " * 20_000
FOLDED = "(drop " + "(i32.eqz " * 20_000 + "(i32.const 0)" + ")" * 20_001
OPTIONS = "(type $t0 (option string))" + "".join(f"(type $t{i} (option $t{i - 1}))" for i in range(1, 95))
NULL = "(drop (ref.null $t))"

REFUSED = {
    "instances": (h.doubling(30, h.CORE), "2248 instances"),
    "copies of functions": (h.doubling(12, h.functions(300)), "copies of functions"),
    "copies of data": (h.doubling(11, h.data(200_000)), "bytes of copies"),
    "copies with long names": (h.doubling(12, NAMED), "instances"),
    "exports": (h.doubling(16, h.CORE, exports=True), "instances"),
    "exports of exports": (h.inline_exports(16), "exports of the host"),
    "too many exports of exports": (h.inline_exports(40), "1000000 parts"),
    "imports of the host": (h.instance_types(18, '(export "f" (func))'), "40000 imports"),
    "too many imports of the host": (h.instance_types(40, '(export "f" (func))'), "1000000 parts"),
    "too many resources": (h.instance_types(30, '(export "r" (type (sub resource)))'), "2000000 comparisons"),
    "too many types of components": (h.component_types(40), "1000000 parts"),
    "types of functions": (h.passing(h.doubled(12, "u32"), "$t12", 30), "1000000 parts of the types"),
    "too many types of functions": (h.passing(h.doubled(13, "u32"), "$t13", 100), "1000000 parts"),
    "handed strings": (h.passing(h.doubled(15, "string"), "$t15"), "100000 parts"),
    "handed variants": (h.passing(h.doubled(15, "string", HALVES), "$t15"), "100000 parts"),
    "handed lists": (h.passing(LISTS, "$t15"), "does not fit the type"),
    "many variants in a tuple": (
        h.passing(h.doubled(5, "string", HALVES) + f" (type $w (tuple {'$t5 ' * 500}))", "$w"),
        "60200 values in records and variants",
    ),
    "handed to the host": (h.handed_to_host(h.doubled(12, "string"), "$t12", 50), "1000000 parts of the types"),
    "streams": (h.doubling(12, h.STREAM), "instances"),
    "streams of strings": (h.stream_row(33, "string"), "more than 1024 copies of elements"),
    "streams of records": (h.stream_row(3, "$t14", h.doubled(14, "string")), "values in records and variants"),
    "resources": (h.doubling(12, h.RESOURCE), "instances"),
    "an alias among many names": (h.misspelt(1000), "has no export"),
    "deep components": ("(component " * 3000 + ")" * 3000, "nested more than 100 deep"),
    "deep types": ("(component (type " + "(list " * 3000 + "u8" + ")" * 3002, "nested more than 100 deep"),
    "too long lists": (h.passing(f"(type $t0 (list u8 {(1 << 32) - 1}))", "$t0"), "the limit is 268435455"),
    "labels": (h.passing(f"(type $t0 (tuple {'u8 ' * 10_001}))", "$t0"), "10001 elements; 10000 are allowed"),
    "many memories": (h.memories(101), "the module has 101 memories; engines take 100 at most"),
    "many tables": (h.tables(101), "the module has 101 tables; engines take 100 at most"),
    "a chain of core types": (h.core_chain(65), "64 supertypes, one above the other; engines take 63"),
    "a long chain of core types": (h.core_chain(4000), "engines take 63 at most"),
    "core parameters": (h.started(f"(type $t (func (param {'i32 ' * 1001})))", NULL), "1001 parameters"),
    "core results": (h.started(f"(type $t (func (result {'i32 ' * 1001})))", NULL), "1001 results"),
    "fields": (h.started(f"(type $t (struct (field {'i32 ' * 10_001})))", NULL), "10001 fields; engines take 10000"),
    "locals": (h.started("", f"(local {'i32 ' * 50_001})"), "it has 50001 locals; engines take 50000 at most"),
    "a long name": (f'(component (type $t u32) (export "{"a-" * 50_000}a" (type $t)))', "takes 100001 bytes"),
    "a long label": (f'(component (type (flags "{"a-" * 50_000}a")))', "takes 100001 bytes"),
    "a long core name": (f'(component (core module (func (export "{"a" * 100_001}"))))', "takes 100001 bytes"),
    "a final supertype": (h.started("(type $s (struct)) (type $t (sub $s (struct)))", NULL), "which is final"),
    "a later supertype": (h.started("(type $t (sub $s (struct))) (type $s (sub (struct)))", NULL), "which comes later"),
    "a later type": (
        h.started("(type $t (struct (field (ref null $s)))) (type $s (struct))", NULL),
        "refers to the type `s`, which comes later",
    ),
    "another supertype": (
        h.started("(type $s (sub (struct (field i32)))) (type $t (sub $s (struct (field i64))))", NULL),
        "does not match its supertype, the type `s`",
    ),
}  # fmt: skip
"""What is refused, and part of the reason."""

COMPILED = {
    "types of components": h.component_types(18),
    "wide tuples": h.passing(f"(type $t0 (tuple {'string ' * 3000}))", "$t0"),
    "many functions with wide tuples": h.passing(f"(type $t0 (tuple {'string ' * 100}))", "$t0", 100),
    "instances with many imports": h.shared_imports(500),
    "a chain of exports": h.chain(2000),
    "deep blocks": h.started("", BLOCKS),
    "deep folding": h.started("", FOLDED),
    "long lists": h.passing(f"(type $t0 (list u8 {(1 << 28) - 1}))", "$t0"),
    "long lists of strings": h.passing("(type $a (list string 300)) (type $b (list $a 300))", "$b"),
    "options of options": h.passing(OPTIONS, "$t94"),
    "streams of many": h.stream_row(90),
    "handed to the host": h.handed_to_host(h.doubled(14, "string"), "$t14"),
    "a chain of core types": h.core_chain(64),
    "doubled core types": h.core_doubled(200),
}  # fmt: skip


@pytest.fixture(scope="module")
def compiler() -> Iterator[Compiler]:
    with Compiler() as it:
        yield it


def valid(path: Path) -> bool:
    done = subprocess.run([WASM_TOOLS, "validate", "--features=all", path], capture_output=True)
    return done.returncode == 0


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, compiler: Compiler, tmp_path: Path) -> None:
    source, out = tmp_path / "a.wat", tmp_path / "o.wasm"
    text, reason = REFUSED[case]
    source.write_text(text)
    code, said, memory, _ = compiler.run(tmp_path, source, "-q", "-o", out)
    assert code == 2 and said.startswith("meldc: error: ") and reason in said, said
    assert len(said) < 10_000 and not out.exists()
    assert memory < MEMORY


@pytest.mark.parametrize("case", COMPILED)
def test_compiled(case: str, compiler: Compiler, tmp_path: Path) -> None:
    source, out = tmp_path / "a.wat", tmp_path / "o.wasm"
    source.write_text(COMPILED[case])
    code, said, memory, _ = compiler.run(tmp_path, source, "-q", "-o", out)
    assert code == 0, said
    assert valid(out)
    assert out.stat().st_size < 10_000 + 16 * len(COMPILED[case])
    assert memory < MEMORY


def test_one_memory_is_the_way_out_of_many(compiler: Compiler, tmp_path: Path) -> None:
    source, out = tmp_path / "a.wat", tmp_path / "o.wasm"
    source.write_text(REFUSED["many memories"][0])
    plan = forked("plan", source)
    passes = next(line for line in plan.stdout.splitlines() if line.startswith("--passes="))
    assert compiler.run(tmp_path, source, f"{passes},lower-multi-memory", "-q", "-o", out).code == 0
    assert valid(out)


def test_large_bodies_are_refused_where_they_are_read(compiler: Compiler, tmp_path: Path) -> None:
    """7,654,321 bytes are what engines take of one body."""
    source, out = tmp_path / "a.wasm", tmp_path / "o.wasm"
    body = b"\0" + b"\x01" * 7_700_000 + b"\x0b"
    code = b"\x01" + leb(len(body)) + body
    sections = ((1, b"\x01\x60\0\0"), (3, b"\x01\0"), (10, code))
    source.write_bytes(core(*sections))
    code_, said, _, _ = compiler.run(tmp_path, source, "-q", "-o", out)
    assert code_ == 2 and "engines take 7654321 at most" in said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(module (func " + "nop " * (8 << 20) + "))", "more than 3000000 words and parentheses in one body"),
        ("(component " + "(core module)" * 1000 + ")", "more than 999 core modules and components"),
        ("(component " + "(component (core module))" * 500 + ")", "more than 999 core modules and components"),
    ],
    ids=["a body", "modules", "components"],
)
def test_long_texts(text: str, reason: str, compiler: Compiler, tmp_path: Path) -> None:
    source, out = tmp_path / "a.wat", tmp_path / "o.wasm"
    source.write_text(text)
    code, said, memory, _ = compiler.run(tmp_path, source, "-q", "-o", out)
    assert code == 2 and reason in said and len(said) < 10_000
    assert memory < MEMORY


@pytest.mark.parametrize("emit", ["wasm", "wat"])
def test_many_locals(emit: str, compiler: Compiler, tmp_path: Path) -> None:
    """3,000 functions have 50,000 locals each: eight bytes of a binary, 200,000 of a text."""
    source, out = tmp_path / "a.wasm", tmp_path / "o"
    body = b"\x01" + leb(50_000) + b"\x7f\x0b"
    code = leb(3000) + (leb(len(body)) + body) * 3000
    source.write_bytes(core((1, b"\x01\x60\0\0"), (3, leb(3000) + b"\0" * 3000), (7, b"\x01\x01f\0\0"), (10, code)))
    found, said, memory, _ = compiler.run(tmp_path, source, "-q", f"--emit={emit}", "-o", out)
    assert found == (2 if emit == "wat" else 0) and ("more than 4000000 parameters and locals" in said) == (
        emit == "wat"
    )
    assert memory < MEMORY


def test_long_texts_of_many_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """In little: a million takes seconds."""
    monkeypatch.setattr(lexer, "MAX_TOKENS", 1000)
    parse("(module " + "(func)" * 300 + ")", "a")
    for text in ("(module " + "(func)" * 600 + ")", "(component (type (tuple " + "u8 " * 1000 + ")))"):
        with pytest.raises(MeldError, match="more than 1000 words and parentheses outside of bodies"):
            parse(text, "a")


@pytest.mark.parametrize(("count", "code"), [(999, 0), (1000, 2)])
def test_many_modules(count: int, code: int, compiler: Compiler, tmp_path: Path) -> None:
    """As many as engines take, and one more."""
    source, out = tmp_path / "a.wasm", tmp_path / "o.wasm"
    source.write_bytes(b"\0asm\x0d\0\1\0" + b"\1\x08\0asm\1\0\0\0" * count)
    assert valid(source) == (code == 0)
    assert compiler.run(tmp_path, source, "-q", "-o", out).code == code


def core(*sections: tuple[int, bytes]) -> bytes:
    """A core module of these sections."""
    return b"\0asm\1\0\0\0" + b"".join(bytes((n,)) + leb(len(s)) + s for n, s in sections)


def leb(value: int) -> bytes:
    out = b""
    while value >= 128:
        out, value = out + bytes((value & 127 | 128,)), value >> 7
    return out + bytes((value,))
