"""Handles of the host's resources that go from one component to another: owned, lent, lent on, in lists, not dropped.

The resource is WASI's output stream; what was written and whether the program trapped is compared with the composition
that runs unfused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wrapped import Running, Wasi, fuse

import meld
from tests.oracles.test_five_components import component

STREAMS = "wasi:io/streams@0.2.0"
WIT = """package lab:out;
interface sink {
  use wasi:io/streams@0.2.0.{output-stream};
  say: func(o: borrow<output-stream>, n: u32);
  forget: func(o: borrow<output-stream>);
  keep: func(o: output-stream);
  give: func() -> output-stream;
  both: func(a: borrow<output-stream>, l: list<borrow<output-stream>>) -> option<output-stream>;
}
interface relay {
  use wasi:io/streams@0.2.0.{output-stream};
  relay: func(o: borrow<output-stream>, n: u32);
}
world app {
  import wasi:cli/stdout@0.2.0; import wasi:io/streams@0.2.0; import sink; import relay;
  export run: func(what: u32) -> u32;
}
world middle { import wasi:io/streams@0.2.0; import sink; export relay; }
world provider { import wasi:io/streams@0.2.0; export sink; }
package wasi:io@0.2.0 {
  interface error { resource error; }
  interface streams {
    use error.{error};
    variant stream-error { last-operation-failed(error), closed }
    resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
  }
}
package wasi:cli@0.2.0 {
  interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }
}
"""
COMMON = f"""
  (import "{STREAMS}" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
  (import "{STREAMS}" "[resource-drop]output-stream" (func $drop (param i32)))"""
MEMORY = """(memory (export "memory") 1)
  (data (i32.const 100) "abcdefghijklmnopqrstuvwxyz")
  (data (i32.const 200) "0123456789")
  (global $free (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.get $free)
    (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 15)) (i32.const -16))))"""

PROVIDER = f"""(module {COMMON} {MEMORY}
  (global $kept (mut i32) (i32.const 0))
  (func (export "lab:out/sink#say") (param $o i32) (param $n i32)
    (call $write (local.get $o) (i32.const 200) (local.get $n) (i32.const 16))
    (call $drop (local.get $o)))
  (func (export "lab:out/sink#forget") (param i32))
  (func (export "lab:out/sink#keep") (param i32) (global.set $kept (local.get 0)))
  (func (export "lab:out/sink#give") (result i32) (global.get $kept))
  (func (export "lab:out/sink#both") (param $a i32) (param $l i32) (param $n i32) (result i32)
    (call $write (i32.load (local.get $l)) (i32.const 205) (local.get $n) (i32.const 16))
    (call $drop (local.get $a))
    (call $drop (i32.load (local.get $l)))
    (call $drop (i32.load offset=4 (local.get $l)))
    (i32.store (i32.const 32) (i32.const 1))
    (i32.store (i32.const 36) (global.get $kept))
    (i32.const 32)))"""

MIDDLE = f"""(module {COMMON}
  (import "lab:out/sink" "say" (func $say (param i32 i32))) {MEMORY}
  (func (export "lab:out/relay#relay") (param $o i32) (param $n i32)
    (call $say (local.get $o) (local.get $n))
    (call $say (local.get $o) (i32.const 1))
    (call $write (local.get $o) (i32.const 125) (i32.const 1) (i32.const 16))
    (call $drop (local.get $o))))"""

APP = f"""(module {COMMON}
  (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
  (import "lab:out/sink" "say" (func $say (param i32 i32)))
  (import "lab:out/sink" "forget" (func $forget (param i32)))
  (import "lab:out/sink" "keep" (func $keep (param i32)))
  (import "lab:out/sink" "give" (func $give (result i32)))
  (import "lab:out/sink" "both" (func $both (param i32 i32 i32 i32)))
  (import "lab:out/relay" "relay" (func $relay (param i32 i32))) {MEMORY}
  (func $letters (param $o i32) (param $at i32)
    (call $write (local.get $o) (i32.add (i32.const 100) (local.get $at)) (i32.const 2) (i32.const 16)))
  (func (export "run") (param $what i32) (result i32) (local $o i32)
    (local.set $o (call $stdout))
    (call $letters (local.get $o) (i32.const 0))
    (call $say (local.get $o) (i32.const 3)) ;; lent, and still ours
    (call $say (local.get $o) (i32.const 2))
    (call $letters (local.get $o) (i32.const 3))
    (call $relay (local.get $o) (i32.const 4)) ;; lent on
    (call $letters (local.get $o) (i32.const 5))
    (i32.eq (local.get $what) (i32.const 1)) if (call $forget (local.get $o)) end
    (i32.eq (local.get $what) (i32.const 2)) if (call $drop (local.get $o)) (call $say (local.get $o) (i32.const 1)) end
    (i32.eq (local.get $what) (i32.const 3)) if (call $drop (local.get $o)) (call $drop (local.get $o)) end
    (call $keep (local.get $o)) ;; given away, and back
    (local.set $o (call $give))
    (call $letters (local.get $o) (i32.const 7))
    (call $keep (local.get $o))
    (local.set $o (call $stdout))
    (i32.store (i32.const 60) (local.get $o))
    (i32.store (i32.const 64) (local.get $o)) ;; the same one three times
    (call $both (local.get $o) (i32.const 60) (i32.const 2) (i32.const 48))
    (call $letters (local.get $o) (i32.const 9))
    (call $drop (local.get $o))
    (call $letters (i32.load (i32.const 52)) (i32.const 11))
    (call $drop (i32.load (i32.const 52)))
    (local.get $what)))"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("host")
    cores = {"app": APP, "middle": MIDDLE, "provider": PROVIDER}
    return [component(directory, WIT, world, core) for world, core in cores.items()]


def did(path: Path, what: int, directory: Path) -> list[Any]:
    """What calls answer and what they wrote."""
    wasi = Wasi(directory)
    running = Running(path, wasi=wasi)
    return [running.call("run", what), running.call("run", 0), wasi.left()[0]]


@pytest.mark.parametrize(("what", "traps"), [(0, False), (1, True), (2, True), (3, True)])
def test_as_unfused(parts: list[Path], what: int, traps: bool, tmp_path: Path) -> None:
    linked = tmp_path / "linked.wasm"
    linked.write_bytes(meld.encode(meld.compile(parts, stop_after="link")))
    want = did(linked, what, tmp_path)
    assert want[2].startswith("ab01201de01230zfg")
    assert want[0] == ("trap" if traps else what)
    assert did(fuse(parts, tmp_path / "fused.wasm"), what, tmp_path) == want
