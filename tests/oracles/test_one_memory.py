"""`lower-multi-memory` in pipelines: before and after `finish`, from a dump, with adapters, and where it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from parties import LOWERED_PASSES, Fused, Party, files
from stages import PASSES, tool

import meld
from meld.diagnostics import MeldError
from meld.runtime.instantiate import instantiate
from meld.text.reading.program import parse

A = Party("a", ("stream.write", "future.write"), ("u32",))
B = Party("b", ("stream.read", "future.read"), ("u32",), links=("a",))
DEFAULT = ",".join(PASSES[1:])

ORDERS = {
    "before finish": LOWERED_PASSES,
    "after finish": f"{DEFAULT},lower-multi-memory",
    "between two": f"{DEFAULT},lower-multi-memory,finish",
    "without finish": ",".join([*PASSES[1:-1], "lower-multi-memory"]),
    "nothing but it": "merge,lower-multi-memory",
}


@pytest.mark.parametrize("order", ORDERS)
def test_in_any_order(order: str, tmp_path: Path) -> None:
    fused = Fused([A, B], tmp_path, passes=ORDERS[order])
    text = meld.print_text(fused.module)
    tool("validate", "--features", "all", "-", data=meld.encode(fused.module))
    assert text.count("\n  (memory ") == 1
    assert meld.print_text(parse(text, "dump.wat")) == text
    assert meld.encode(parse(text, "dump.wat")) == meld.encode(fused.module)
    bridged = order != "nothing but it"
    readable, writable = fused.new("a")
    data = bytes(i * 5 & 0xFF for i in range(4096))
    for _ in range(3):
        assert fused.send("a", writable, data[:4000]) == 4000
        assert fused.receive("b", readable, 4096) == data[:4000]
    readable, writable = fused.new("a", "future")
    fused.memory("a")[65532:] = b"abcd"
    assert fused.a_future_write(writable, 65532) == 1
    assert fused.b_future_read(readable, 65532) == 1
    assert fused.memory("b")[65532:] == b"abcd"
    assert (fused.host.total == 0) is bridged


def test_from_a_dump_of_every_stage(tmp_path: Path) -> None:
    """A dump goes on to the same bytes."""
    paths = files([A, B], tmp_path)
    want = meld.encode(meld.compile(paths, passes=LOWERED_PASSES))
    names = LOWERED_PASSES.split(",")
    for i in range(1, len(names)):
        dump = tmp_path / "dump.wat"
        dump.write_text(meld.print_text(meld.compile(paths, passes=",".join(names[:i]))))
        assert meld.encode(meld.compile([dump], passes=",".join(names[i:]))) == want, names[i]


@pytest.mark.parametrize("second", ["detect-pairs,emit-bridge", "emit-bridge"])
def test_a_bridge_between_regions_is_refused(second: str, tmp_path: Path) -> None:
    first = "merge" if "detect" in second else "merge,detect-pairs"
    with pytest.raises(MeldError, match="regions of one already") as e:
        meld.compile(files([A, B], tmp_path), passes=f"{first},lower-multi-memory,{second}")
    assert "after rewire-calls" in str(e.value.hint)


def test_a_boundary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.wat").write_text(CALLS)
    with pytest.raises(MeldError, match="still a boundary") as e:
        meld.compile([tmp_path / "x.wat"], passes="merge,lower-multi-memory")
    assert "adapter-wiring" in str(e.value.hint)


def test_an_adapter_copies_from_region_to_region(tmp_path: Path) -> None:
    """A call with a list between two components with a memory each, which both grow."""
    (tmp_path / "x.wat").write_text(CALLS)
    for passes in (None, "merge,adapter-wiring,lower-multi-memory,finish"):
        module = meld.compile([tmp_path / "x.wat"], passes=passes)
        assert len(module.memories) == (2 if passes is None else 1)
        running = instantiate(meld.encode(module))
        assert [running.call("run", n) for n in (0, 1, 100, 70000, 3)] == [
            sum(range(1, n + 1)) for n in (0, 1, 100, 70000, 3)
        ]


def logging(*components: str) -> str:
    """Two components with a memory each; those named give the host a string of theirs."""
    parts = ["(component"]
    for name in ("first", "second"):
        logs = name in components
        parts.append(f"""
  (component ${name}
    (import "log" (func $log (param "s" string)))
    (core module $libc (memory (export "memory") 1) (data (i32.const 100) "{name}"))
    (core instance $libc (instantiate $libc))
    (core func $log (canon lower (func $log) (memory $libc "memory")))
    (core module $m
      (import "libc" "memory" (memory 1))
      (import "host" "log" (func $log (param i32 i32)))
      (func (export "run") (result i32)
        (drop (memory.grow (i32.const 1)))
        (i32.store8 (i32.const 131071) (i32.const 33))
        {"(call $log (i32.const 100) (i32.const 6))" if logs else ""}
        (i32.load8_u (i32.const 100))))
    (core instance $i (instantiate $m (with "libc" (instance $libc))
      (with "host" (instance (export "log" (func $log))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))""")
    parts.append('(import "log" (func $log (param "s" string)))')
    for name in ("first", "second"):
        parts.append(f'(instance ${name} (instantiate ${name} (with "log" (func $log))))')
        parts.append(f'(export "{name}" (func ${name} "run"))')
    return "\n".join([*parts, ")"])


ADAPTED = "merge,adapter-wiring,finish,lower-multi-memory"


@pytest.mark.parametrize("components", [("second",), ("first", "second")])
def test_the_host_reads_what_was_meant(components: tuple[str, ...], tmp_path: Path) -> None:
    """The host is given the compiler's memory, which comes first, and stays where it is when another one grows."""
    (tmp_path / "x.wat").write_text(logging(*components))
    module = meld.compile([tmp_path / "x.wat"], passes=ADAPTED)
    assert len(module.memories) == 1
    seen: list[bytes] = []

    def log(at: int, length: int) -> None:
        seen.append(bytes(running.memory()[at : at + length]))

    running = instantiate(meld.encode(module), given={("$root", "log"): log})
    for _ in range(2):
        assert chr(running.call("first")) == "f"
        assert chr(running.call("second")) == "s"
    assert [word.decode().strip("\0") for word in seen] == ["first", "second"][2 - len(components) :] * 2


def test_pointers_into_a_region_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.wat").write_text(logging("second"))
    with pytest.raises(MeldError, match=r"given pointers into `second/memory` by the import `log`") as e:
        meld.compile([tmp_path / "x.wat"], passes="merge,finish,lower-multi-memory")
    assert "host-memory" in str(e.value.hint)


CALLS = """(component
  (component $callee
    (core module $m
      (memory (export "memory") 1)
      (global $top (mut i32) (i32.const 16))
      (func (export "realloc") (param $old i32) (param i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
        (global.set $top (i32.add (local.get $at) (local.get $size)))
        (loop $more
          (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16)))
            (then (drop (memory.grow (i32.const 1))) (br $more))))
        (local.get $at))
      (func (export "sum") (param $at i32) (param $n i32) (result i64) (local $sum i64)
        (block $end (loop $next
          (br_if $end (i32.eqz (local.get $n)))
          (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next)))
        (local.get $sum)))
    (core instance $i (instantiate $m))
    (func $sum (param "values" (list u32)) (result u64)
      (canon lift (core func $i "sum") (memory $i "memory") (realloc (func $i "realloc"))))
    (export "sum" (func $sum)))
  (component $caller
    (import "sum" (func $sum (param "values" (list u32)) (result u64)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $lowered (canon lower (func $sum) (memory $libc "memory")))
    (core module $m
      (import "libc" "memory" (memory 1))
      (import "host" "sum" (func $sum (param i32 i32) (result i64)))
      (func (export "run") (param $n i32) (result i64) (local $i i32)
        (drop (memory.grow (i32.shr_u (local.get $n) (i32.const 14))))
        (block $end (loop $next
          (br_if $end (i32.eq (local.get $i) (local.get $n)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (i32.store offset=60 (i32.shl (local.get $i) (i32.const 2)) (local.get $i))
          (br $next)))
        (call $sum (i32.const 64) (local.get $n))))
    (core instance $i (instantiate $m (with "libc" (instance $libc))
      (with "host" (instance (export "sum" (func $lowered))))))
    (func $run (param "n" u32) (result u64) (canon lift (core func $i "run")))
    (export "run" (func $run)))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "sum" (func $callee "sum"))))
  (export "run" (func $caller "run")))"""
