"""Asynchronous functions and streams in one memory, beside the engine: the host has values for longer than a call."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime
from both import unfused
from hosted import TARGETS, both, composed, product
from open_guests import HELPERS, LIBC, SINK, SOURCE, builtins, imports

from meld.diagnostics import MeldError
from meld.driver import Options, build
from meld.files import encode, print_text
from meld.ir.module import Module
from meld.runtime.instantiate import instantiate

FLOW = Path(__file__).parents[3] / "../shared/fixtures/flow-p3"

NEIGHBOUR = """
  (component $N (core module $m (memory (export "m") 2) (data (i32.const 0) "secret")
    (func (export "first") (result i32) (i32.load8_u (i32.const 0))))
    (core instance $i (instantiate $m)) (func (export "first") (result u32) (canon lift (core func $i "first"))))
  (instance $n (instantiate $N))
  (export "first" (func $n "first"))
"""

LIFT = '(memory (core memory $libc "m")) (realloc (core func $libc "realloc"))'
TEXTS = f"""(component
  {NEIGHBOUR}
  (component $T {LIBC}
    (core func $return (canon task.return (result string) {'(memory (core memory $libc "m"))'}))
    (core func $return-pair (canon task.return (result (tuple u32 u32))))
    (core module $m
      (import "" "m" (memory 1))
      (import "" "return" (func $return (param i32 i32)))
      (import "" "return-pair" (func $return-pair (param i32 i32)))
      (func $twice (param $at i32) (param $n i32)
        (memory.copy (i32.const 32768) (local.get $at) (local.get $n))
        (memory.copy (i32.add (i32.const 32768) (local.get $n)) (local.get $at) (local.get $n))
        (call $return (i32.const 32768) (i32.shl (local.get $n) (i32.const 1)))
        (memory.fill (i32.const 32768) (i32.const 63) (i32.const 100)))
      (func (export "stackful") (param i32 i32) (call $twice (local.get 0) (local.get 1)))
      (func (export "calls-back") (param i32 i32) (result i32) (call $twice (local.get 0) (local.get 1)) (i32.const 0))
      (func (export "pair") (param $n i32) (result i32) (call $return-pair (local.get 0) (i32.const 7)) (i32.const 0))
      (func (export "wrong") (param i32 i32) (result i32)
        (call $return (local.get 0) (local.get 1)) (i32.const 0))
      (func (export "back") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m"))
      (export "return" (func $return)) (export "return-pair" (func $return-pair))))))
    (func (export "stackful") async (param "s" string) (result string)
      (canon lift (core func $i "stackful") async {LIFT}))
    (func (export "calls-back") async (param "s" string) (result string)
      (canon lift (core func $i "calls-back") async (callback (core func $i "back")) {LIFT}))
    (func (export "pair") async (param "n" u32) (result (tuple u32 u32))
      (canon lift (core func $i "pair") async (callback (core func $i "back")) {LIFT}))
    (func (export "wrong") async (param "at" u32) (param "n" u32) (result string)
      (canon lift (core func $i "wrong") async (callback (core func $i "back")) {LIFT})))
  (instance $t (instantiate $T))
  (export "stackful" (func $t "stackful")) (export "calls-back" (func $t "calls-back"))
  (export "pair" (func $t "pair")) (export "wrong" (func $t "wrong")))
"""


@pytest.mark.parametrize("name", ["stackful", "calls-back"])
def test_strings_of_exports(name: str) -> None:
    """The host allocates in the compiler's memory, and reads the result there when the task goes on already."""
    calls = [(name, "a"), (name, ""), (name, "what goes in"), ("pair", 3), (name, "é")]
    answers = both("(component)", TEXTS, (), *calls, targets=TARGETS)
    assert answers[:3] == ["aa", "", "what goes inwhat goes in"] and answers[4] == "éé"


@pytest.mark.parametrize(("at", "n"), [(65530, 7), (65536, 1), (0, 0x7FFFFFFF), (0xFFFFFFFF, 1)])
def test_a_result_beyond_the_region_traps(at: int, n: int) -> None:
    """What lies behind the region is another component's; the program is closed afterwards."""
    made = composed("(component)", product(TEXTS, "wasm2"), (), ("func wrong", "func first"))
    wrong, after = unfused(made, (("wrong", at, n), ("first",)))
    assert "out of bounds" in wrong or "out-of-bounds" in wrong
    assert after.startswith("trap")
    assert unfused(made, (("first",),)) == [ord("s")]


def test_a_core_module(tmp_path: Path) -> None:
    """A plain function takes and returns addresses of the memory that is exported."""
    (tmp_path / "texts.wasm").write_bytes(bytes(wasmtime.wat2wasm(TEXTS)))
    module = build([tmp_path / "texts.wasm"], Options(target="wasm2")).program
    assert isinstance(module, Module) and len(module.space("memories")) == 1
    running = instantiate(module)
    for word in (b"once", b"again"):
        at = running.call("cabi_realloc", 0, 0, 1, len(word))
        memory = running.memory()
        memory[at : at + len(word)] = word
        address, length = running.call("calls-back", at, len(word))
        assert bytes(running.memory()[address : address + length]) == word * 2


HOST = f"""(component {LIBC}
  {builtins("async", reads="s", writes="sf")}
  (core func $return (canon task.return (result $s)))
  (core module $m
    {imports(reads="s", writes="sf")}
    (import "c2" "return" (func $return (param i32)))
    {HELPERS} {SINK} {SOURCE}
    (func (export "sink") (param $data i32) (drop (call $drain (local.get $data))))
    (func (export "source") (param $n i32) (local $ends i64)
      (local.set $ends (call $s-new))
      (call $return (i32.wrap_i64 (local.get $ends)))
      (call $fill (call $high (local.get $ends)) (local.get $n))))
  (core instance $c2 (export "return" (func $return)))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  (func (export "sink") async (param "data" $s) (canon lift (core func $i "sink") async))
  (func (export "source") async (param "n" u32) (result $s) (canon lift (core func $i "source") async)))
"""
STREAMS = f"""(component
  (import "sink" (func $sink async (param "data" (stream u8))))
  (import "source" (func $source async (param "n" u32) (result (stream u8))))
  {NEIGHBOUR}
  {LIBC}
  {builtins("async", reads="s", writes="s")}
  (core func $sink' (canon lower (func $sink) async))
  (core func $source' (canon lower (func $source)))
  (core module $m
    {imports(reads="s", writes="s")}
    (import "c2" "sink" (func $sink (param i32) (result i32)))
    (import "c2" "source" (func $source (param i32) (result i32)))
    (func (export "write") (param $at i32) (param $n i32) (result i32) (local $ends i64)
      (local.set $ends (call $s-new))
      (drop (call $sink (i32.wrap_i64 (local.get $ends))))
      (drop (call $s-write (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32)))
        (local.get $at) (local.get $n)))
      (i32.const 1))
    (func (export "read") (param $at i32) (param $n i32) (result i32)
      (drop (call $s-read (call $source (i32.const 1)) (local.get $at) (local.get $n)))
      (i32.const 1)))
  (core instance $c2 (export "sink" (func $sink')) (export "source" (func $source')))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  (func (export "write") async (param "at" u32) (param "n" u32) (result u32) (canon lift (core func $i "write")))
  (func (export "read") async (param "at" u32) (param "n" u32) (result u32) (canon lift (core func $i "read"))))
"""


@pytest.mark.parametrize("verb", ["write", "read"])
def test_a_buffer_beyond_the_region_traps(verb: str) -> None:
    """The host has the other end: it is given a buffer of the compiler's, never one of the region."""
    hosts = ("func sink", "func source")
    for at, n in ((65530, 6), (65530, 7), (65536, 1), (0xFFFFFFFF, 2)):
        (answer,) = both(HOST, STREAMS, hosts, (verb, at, n), targets=TARGETS)
        assert answer == 1 if at + n <= 65536 else "trap" in str(answer)


def _of_strings(text: str) -> str:
    """The same with streams of strings."""
    read = 'canon stream.read $s async (memory (core memory $libc "m"))'
    return text.replace("(stream u8)", "(stream string)").replace(read, read + ' (realloc (core func $libc "realloc"))')


READS_STRINGS = _of_strings(
    f"""(component {LIBC}
  {builtins("async", reads="s", writes="s")}
  (core module $m
    {imports(reads="s", writes="s")}
    {HELPERS}
    (func (export "sink") (param $data i32)
      (drop (call $awaited (local.get $data) (call $s-read (local.get $data) (i32.const 128) (i32.const 1))))
      (call $s-drop-readable (local.get $data))))
  (core instance $i (instantiate $m (with "c" (instance $canon))))
  (func (export "sink") async (param "data" $s) (canon lift (core func $i "sink") async)))
"""
)
WRITES_STRINGS = _of_strings(
    f"""(component
  (import "sink" (func $sink async (param "data" (stream u8))))
  {NEIGHBOUR}
  {LIBC}
  {builtins("async", reads="s", writes="s")}
  (core func $sink' (canon lower (func $sink) async))
  (core module $m
    {imports(reads="s", writes="s")}
    (import "c2" "sink" (func $sink (param i32) (result i32)))
    {HELPERS}
    (func (export "write") (param $at i32) (param $n i32) (result i32) (local $ends i64)
      (i32.store (i32.const 64) (local.get $at))
      (i32.store (i32.const 68) (local.get $n))
      (local.set $ends (call $s-new))
      (drop (call $sink (i32.wrap_i64 (local.get $ends))))
      (call $awaited (call $high (local.get $ends))
        (call $s-write (call $high (local.get $ends)) (i32.const 64) (i32.const 1)))))
  (core instance $c2 (export "sink" (func $sink')))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  (func (export "write") async (param "at" u32) (param "n" u32) (result u32) (canon lift (core func $i "write"))))
"""
)


def test_strings_in_elements_stay_in_the_region() -> None:
    """An address inside of an element is followed where the element is copied."""
    made = composed(READS_STRINGS, product(WRITES_STRINGS, "wasm2"), ("func sink",), ("func write",))
    whole = composed(READS_STRINGS, WRITES_STRINGS, ("func sink",), ("func write",))
    for at, n, ok in ((65530, 6, True), (65530, 7, False), (65536, 1, False), (8, 0x80000000, False)):
        (want,), (answer,) = (unfused(one, (("write", at, n),)) for one in (whole, made))
        assert want == answer and (want == 16 if ok else "string pointer/length out of bounds" in str(want)), (
            want,
            answer,
        )


def test_buffers_given_to_the_host_by_a_late_pass_are_refused(tmp_path: Path) -> None:
    """Once `emit-tasks` has run, the host's built-ins are given the instance's memory."""
    (tmp_path / "streams.wasm").write_bytes(bytes(wasmtime.wat2wasm(STREAMS)))
    passes = "link,merge,detect-pairs,plan-tasks,expose-resources,handle-tables,emit-tasks,adapter-wiring"
    dump = tmp_path / "dump.wat"
    dump.write_text(print_text(build([tmp_path / "streams.wasm"], Options(passes=passes)).program))
    with pytest.raises(MeldError, match=r"given pointers into `.*` by the built-in `stream\.") as e:
        build([dump], Options(passes="lower-multi-memory", trust_notes=True))
    assert "host-memory before emit-tasks" in str(e.value.hint)


@pytest.mark.skipif(not FLOW.exists(), reason="the fixtures are not here")
def test_real_components(tmp_path: Path) -> None:
    """Records with strings in a stream, and a string for the host."""
    made = encode(build([FLOW / "cons.wasm", FLOW / "prod.wasm"], Options(wrap=True, target="wasm2")).program)
    calls = (("run", 0), ("run", 5), ("run", 40))
    assert unfused(made, calls) == unfused((FLOW / "comp.wasm").read_bytes(), calls)
