"""Pointers that the host is given, and what is allocated for it, stay in the region of the instance that gave them."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from adapter_pairs import reason
from sides import CASES, Core, fused
from wasmtime import component as wc

import meld

LOWERED = "detect-pairs,emit-bridge,rewire-calls,handle-tables,adapter-wiring,lower-multi-memory,finish"
SECRET = "the secret key"
PAGE = 65536

PROGRAM = """(component
  (import "send" (func $send (param "bytes" (list u8))))
  (import "words" (func $words (param "words" (list string))))
  (import "wide" (func $wide (param "numbers" (list u32))))
  (import "letter" (func $letter (param "c" char)))
  (import "maybe" (func $maybe (param "word" (option string))))
  (import "fetch" (func $fetch (result string)))
  (import "fetch-words" (func $fetch-words (result (list string))))
  (component $honest
    (core module $m
      (memory 1)
      (data (i32.const 0) "the secret key")
      (func (export "first") (param i32) (result i32) (i32.load8_u (local.get 0))))
    (core instance $i (instantiate $m))
    (func (export "first") (param "at" u32) (result u32) (canon lift (core func $i "first"))))
  (component $hostile
    (import "send" (func $send (param "bytes" (list u8))))
    (import "words" (func $words (param "words" (list string))))
    (import "wide" (func $wide (param "numbers" (list u32))))
    (import "letter" (func $letter (param "c" char)))
    (import "maybe" (func $maybe (param "word" (option string))))
    (import "fetch" (func $fetch (result string)))
    (import "fetch-words" (func $fetch-words (result (list string))))
    (core module $mem
      (memory (export "memory") 1)
      (data (i32.const 100) "hello")
      (data (i32.const 200) "\\64\\00\\00\\00\\05\\00\\00\\00")  ;; "hello"
      (data (i32.const 208) "{nested}")
      (global (export "next") (mut i32) (i32.const {first}))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (global.get 0))
        (global.set 0 (i32.add (local.get $at) (i32.const 64)))
        (local.get $at)))
    (core instance $mem (instantiate $mem))
    (core func $send' (canon lower (func $send) (memory $mem "memory")))
    (core func $words' (canon lower (func $words) (memory $mem "memory")))
    (core func $wide' (canon lower (func $wide) (memory $mem "memory")))
    (core func $letter' (canon lower (func $letter)))
    (core func $maybe' (canon lower (func $maybe) (memory $mem "memory")))
    (core func $fetch' (canon lower (func $fetch) (memory $mem "memory") (realloc (func $mem "realloc"))))
    (core func $fetch-words' (canon lower (func $fetch-words) (memory $mem "memory") (realloc (func $mem "realloc"))))
    (core module $m
      (import "" "memory" (memory 1))
      (import "" "send" (func $send (param i32 i32)))
      (import "" "words" (func $words (param i32 i32)))
      (import "" "wide" (func $wide (param i32 i32)))
      (import "" "letter" (func $letter (param i32)))
      (import "" "maybe" (func $maybe (param i32 i32 i32)))
      (import "" "fetch" (func $fetch (param i32)))
      (import "" "fetch-words" (func $fetch-words (param i32)))
      (func (export "run") {body})
      (func (export "give") (result i32)
        (i32.store (i32.const 300) (i32.const {given}))
        (i32.store (i32.const 304) (i32.const 14))
        (i32.const {area})))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $mem "memory"))
      (export "send" (func $send')) (export "words" (func $words')) (export "wide" (func $wide'))
      (export "letter" (func $letter')) (export "maybe" (func $maybe'))
      (export "fetch" (func $fetch')) (export "fetch-words" (func $fetch-words'))))))
    (func (export "run") (canon lift (core func $i "run")))
    (func (export "give") (result (list u8)) (canon lift (core func $i "give") (memory $mem "memory"))))
  (instance $h (instantiate $honest))
  (instance $b (instantiate $hostile (with "send" (func $send)) (with "words" (func $words)) (with "wide" (func $wide))
    (with "letter" (func $letter)) (with "maybe" (func $maybe))
    (with "fetch" (func $fetch)) (with "fetch-words" (func $fetch-words))))
  (export "run" (func $b "run"))
  (export "give" (func $b "give"))
  (export "first" (func $h "first")))"""


WORDS = {
    "bounds": r"(list|string) (content out-of-bounds|pointer/length out of bounds of memory)"
    r"|realloc return: beyond end of memory|pointer out of bounds( of memory)?|out of bounds memory access",
    "alignment": r"unaligned pointer|(list |return )?pointer (is )?not aligned|realloc return: result not aligned",
    "char": r"invalid `char` bit pattern|converted integer out of range for `char`",
    "discriminant": r"invalid variant discriminant|discriminant 2 out of range \[0\.\.2\)",
    "text": r"invalid utf-?8 .*",
}
"""What the engine says between components, or where the host lifts and lowers: two words for each kind of trap."""


def kind(outcome: Any) -> Any:
    """An answer, or the kind of a trap."""
    if not (isinstance(outcome, str) and outcome.startswith("trap: ")):
        return outcome
    return [name for name, words in WORDS.items() if re.fullmatch(words, outcome[6:])] or outcome


def write(
    folder: Path, body: str = "", *, nested: str = "", first: int = 1024, given: int = 100, area: int = 300
) -> Path:
    path = folder / "program.wat"
    text = PROGRAM.replace("{body}", body).replace("{nested}", nested).replace("{first}", str(first))
    path.write_text(text.replace("{given}", str(given)).replace("{area}", str(area)))
    return path


def unfused(path: Path, calls: list[str]) -> tuple[list[Any], list[Any]]:
    """What calls answer, or why they trap, and what the host saw."""
    seen: list[Any] = []
    engine = wasmtime.Engine()
    store, linker = wasmtime.Store(engine), wc.Linker(engine)

    def saw(name: str, answer: Any = None) -> Any:
        def host(_: Any, *values: Any) -> Any:
            seen.append((name, *values))
            return answer

        return host

    with linker.root() as root:
        for name in ("send", "words", "wide", "letter", "maybe"):
            root.add_func(name, saw(name))
        root.add_func("fetch", saw("fetch", "hello"))
        root.add_func("fetch-words", saw("fetch-words", ["hello", "world"]))
    instance = linker.instantiate(store, wc.Component(engine, meld.encode(meld.load(path))))
    answers = []
    for name in calls:
        function = instance.get_func(store, name)
        assert function is not None
        try:
            answers.append(function(store))
        except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
            answers.append(f"trap: {reason(e)}")
    return answers, seen


class Host:
    """Serves the fused module by the memory and the `realloc` that it exports."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def read(self, core: Core, at: int, size: int) -> bytes:
        memory = core.exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        at, size = at & 0xFFFF_FFFF, size & 0xFFFF_FFFF
        assert at + size <= memory.data_len(core.store), "the host would trap"
        return bytes(memory.read(core.store, at, at + size))

    def write(self, core: Core, data: bytes, align: int = 1) -> int:
        at = core.call("cabi_realloc", 0, 0, align, len(data)) & 0xFFFF_FFFF
        core.exports["memory"].write(core.store, data, at)  # type: ignore[union-attr]
        return at

    def words(self, core: Core, at: int, count: int) -> None:
        found = [struct.unpack("<II", self.read(core, at + 8 * i, 8)) for i in range(count)]
        self.seen.append(("words", [self.read(core, *one).decode() for one in found]))

    def hosts(self) -> dict[tuple[str, str], Any]:
        def fetch(core: Core, at: int) -> None:
            self.seen.append(("fetch",))
            core.exports["memory"].write(core.store, struct.pack("<II", self.write(core, b"hello"), 5), at)  # type: ignore[union-attr]

        def fetch_words(core: Core, at: int) -> None:
            self.seen.append(("fetch-words",))
            parts = [(self.write(core, word), len(word)) for word in (b"hello", b"world")]
            area = self.write(core, b"".join(struct.pack("<II", *part) for part in parts), 4)
            core.exports["memory"].write(core.store, struct.pack("<II", area, 2), at)  # type: ignore[union-attr]

        def maybe(core: Core, case: int, at: int, size: int) -> None:
            self.seen.append(("maybe", self.read(core, at, size).decode() if case else None))

        made = {
            "send": lambda core, at, size: self.seen.append(("send", self.read(core, at, size))),
            "words": self.words,
            "wide": lambda core, at, n: self.seen.append(
                ("wide", list(struct.unpack(f"<{n}I", self.read(core, at, 4 * n))))
            ),
            "letter": lambda core, c: self.seen.append(("letter", chr(c))),
            "maybe": maybe,
            "fetch": fetch,
            "fetch-words": fetch_words,
        }
        return {("$root", name): call for name, call in made.items()}


def lowered(path: Path, calls: list[str], folder: Path) -> tuple[list[Any], list[Any]]:
    """The same of the fused module with one memory; what the honest instance keeps is whole at the end."""
    out = folder / "lowered.wasm"
    done = fused([path], out, f"--passes={LOWERED}")
    assert done.returncode == 0, done.stderr
    host = Host()
    core = Core(out, host.hosts())
    assert sum(isinstance(core.exports[e.name], wasmtime.Memory) for e in core.module.exports) == 1
    answers: list[Any] = []
    for name in calls:
        try:
            answer = core.call(name)
            if name == "give":
                at, size = struct.unpack("<II", host.read(core, answer, 8))
                answers.append(host.read(core, at, size))
                core.call(f"cabi_post_{name}", answer)
            else:
                answers.append(answer)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
            answers.append(f"trap: {reason(e)}")
            out.unlink()
            break
    # after a trap nothing can be entered, so the secret is looked for where it lies
    memory = core.exports["memory"]
    assert isinstance(memory, wasmtime.Memory)
    assert SECRET.encode() in bytes(memory.read(core.store))
    return answers, host.seen


BAD = {
    "beyond": "(call $send (i32.const 65536) (i32.const 14))",
    "half beyond": "(call $send (i32.const 65530) (i32.const 14))",
    "wraps around": "(call $send (i32.const 100) (i32.const -50))",
    "far": "(call $send (i32.const -16) (i32.const 14))",
    "nothing, beyond": "(call $send (i32.const 65537) (i32.const 0))",
    "too many strings": "(call $words (i32.const 200) (i32.const 0x20000000))",
    "list of strings beyond": "(call $words (i32.const 65536) (i32.const 1))",
    "second string beyond": "(call $words (i32.const 200) (i32.const 2))",
    "unaligned strings": "(call $words (i32.const 201) (i32.const 1))",
    "unaligned": "(call $wide (i32.const 201) (i32.const 1))",
    "no character": "(call $letter (i32.const 0xd800))",
    "no case": "(call $maybe (i32.const 2) (i32.const 100) (i32.const 5))",
    "beyond in a case": "(call $maybe (i32.const 1) (i32.const 65536) (i32.const 5))",
    "no text": "(call $maybe (i32.const 1) (i32.const 209) (i32.const 1))",
    "result beyond": "(call $fetch (i32.const 65536))",
    "result half beyond": "(call $fetch (i32.const 65532))",
    "result unaligned": "(call $fetch (i32.const 17))",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pointers_trap_before_the_host_sees_them(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, BAD[name], nested="\\00\\ff\\01\\00\\0e\\00\\00\\00")
    answers, seen = unfused(path, ["run"])
    assert answers[0].startswith("trap")
    got, host_saw = lowered(path, ["run"], tmp_path)
    assert [*map(kind, got)] == [*map(kind, answers)]
    # engines look at where a result goes when they have it
    assert host_saw == seen or (name.startswith("result") and not [s for s in host_saw if s not in seen])


@pytest.mark.parametrize("first", [65536, 65535, 65532, 65533, -64, 0x7FFF_FFF0])
@pytest.mark.parametrize("call", ["fetch", "fetch-words"])
def test_bad_allocations_trap(call: str, first: int, tmp_path: Path) -> None:
    """What `realloc` returns for a result of the host."""
    path = write(tmp_path, f"(call ${call} (i32.const 16))", first=first)
    answers, _ = unfused(path, ["run"])
    assert answers[0].startswith("trap")
    assert [*map(kind, lowered(path, ["run"], tmp_path)[0])] == [*map(kind, answers)]


@pytest.mark.parametrize(
    ("given", "area"), [(65536, 300), (65530, 300), (-8, 300), (100, 65536), (100, 65532), (100, 301)]
)
def test_bad_results_of_exports_trap(given: int, area: int, tmp_path: Path) -> None:
    path = write(tmp_path, given=given, area=area)
    answers, _ = unfused(path, ["give"])
    assert answers[0].startswith("trap")
    assert [*map(kind, lowered(path, ["give"], tmp_path)[0])] == [*map(kind, answers)]


GOOD = {
    "bytes": "(call $send (i32.const 100) (i32.const 5))",
    "nothing at the end": "(call $send (i32.const 65536) (i32.const 0))",
    "to the end": "(call $send (i32.const 65530) (i32.const 6))",
    "words": "(call $words (i32.const 200) (i32.const 2))",
    "numbers": "(call $wide (i32.const 200) (i32.const 2))",
    "a letter": "(call $letter (i32.const 0x20ac))",
    "none": "(call $maybe (i32.const 0) (i32.const 65536) (i32.const 65536))",
    "some": "(call $maybe (i32.const 1) (i32.const 100) (i32.const 5))",
    "twice": "(call $fetch (i32.const 16)) (call $send (i32.load (i32.const 16)) (i32.load (i32.const 20)))"
    "(call $fetch-words (i32.const 16)) (call $words (i32.load (i32.const 16)) (i32.load (i32.const 20)))",
    "grown": "(drop (memory.grow (i32.const 1))) (call $send (i32.const 65536) (i32.const 14))",
}


@pytest.mark.parametrize("name", GOOD)
def test_honest_calls_are_served(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD[name], nested="\\64\\00\\00\\00\\04\\00\\00\\00")
    calls = ["run", "give", "run", "give"]
    answers, seen = unfused(path, calls)
    assert not any(str(answer).startswith("trap") for answer in answers)
    assert lowered(path, calls, tmp_path) == (answers, seen)


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize("attack", ["steal", "smash"])
def test_the_reported_case(attack: str, tmp_path: Path) -> None:
    seen: list[bytes] = []
    host = Host()

    def fetch(core: Core, at: int) -> None:
        core.exports["memory"].write(core.store, struct.pack("<II", host.write(core, b"smashed"), 7), at)  # type: ignore[union-attr]

    out = tmp_path / "o.wasm"
    done = fused([CASES / "one-memory-host-pointers.wat"], out, f"--passes={LOWERED}")
    assert done.returncode == 0, done.stderr
    core = Core(
        out, {("$root", "send"): lambda core, at, n: seen.append(host.read(core, at, n)), ("$root", "fetch"): fetch}
    )
    with pytest.raises((wasmtime.Trap, wasmtime.WasmtimeError)):
        core.call(attack)
    assert seen == []
    core = Core(out, {("$root", "send"): None, ("$root", "fetch"): None})
    assert core.call("first-byte") == ord("t")


def test_pointers_that_nothing_checks_are_refused(tmp_path: Path) -> None:
    """Without adapters nothing could check them."""
    done = fused([write(tmp_path)], tmp_path / "o.wasm", "--passes=merge,finish,lower-multi-memory")
    assert done.returncode == 2
    assert "the host is given pointers into `b/memory`" in done.stderr and "hint: run host-memory" in done.stderr
