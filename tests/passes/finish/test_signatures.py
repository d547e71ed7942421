"""How exports of a fused module are called: the section `meld.signature-manifest`, and `--manifest=FILE`.

The oracle is the engine: a host that knows nothing but the manifest calls the exports.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import meld
from meld.binary.reader import read_module
from meld.cli import main
from meld.text.reading.program import parse
from meld.views.manifest import manifest as manifest_of
from tests.commands.test_inspect import HOSTED
from tests.observers.test_attribution import RESOURCES, STREAM
from tests.oracles.test_downstream import compiled, entries, section

SECTION = "meld.signature-manifest"

CALLED = """(component
  (component $provider
    (core module $m
      (memory (export "memory") 1)
      (global $next (mut i32) (i32.const 1024))
      (global $live (mut i32) (i32.const 0))
      (func (export "alloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (global.set $live (i32.add (global.get $live) (i32.const 1)))
        (local.get $at))
      (func (export "twice") (param $at i32) (param $size i32) (result i32)
        (i32.store (i32.const 16) (local.get $at))
        (i32.store (i32.const 20) (local.get $size))
        (i64.store (i32.const 24) (i64.extend_i32_u (local.get $size)))
        (i32.const 16))
      (func (export "free") (param i32) (global.set $live (i32.sub (global.get $live) (i32.const 1))))
      (func (export "live") (result i32) (global.get $live))
      (func (export "wide") (param $at i32) (result i64) (i64.load offset=64 (local.get $at)))
      (func (export "join") (param i32 i64 i32 i32) (result f64) (f64.const 0.5)))
    (core instance $i (instantiate $m))
    (type $said' (record (field "text" string) (field "size" u64)))
    (export $said "said" (type $said'))
    (type $v' (variant (case "a" f32) (case "b" s64) (case "c")))
    (export $v "v" (type $v'))
    (type $f' (flags "x" "y"))
    (export $f "f" (type $f'))
    (func (export "twice") (param "s" string) (result $said) (canon lift (core func $i "twice")
      (memory (core memory $i "memory")) (realloc (core func $i "alloc")) (post-return (core func $i "free"))))
    (func (export "live") (result u8) (canon lift (core func $i "live")))
    (func (export "wide") (param "t" (tuple string string string string string string string string u64)) (result s64)
      (canon lift (core func $i "wide") (memory (core memory $i "memory")) (realloc (core func $i "alloc"))
        string-encoding=latin1+utf16))
    (func (export "join") (param "v" $v) (param "c" char) (param "f" $f) (result f64)
      (canon lift (core func $i "join"))))
  (instance $p (instantiate $provider))
  (export "lab:a/b@1.0.0" (instance $p)))"""

ASYNC = """(component
  (component $provider
    (core module $mem
      (memory (export "memory") 1)
      (global $next (mut i32) (i32.const 1024))
      (func (export "alloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at)))
    (core instance $mem (instantiate $mem))
    (type $said' (record (field "text" string) (field "size" u64)))
    (export $said "said" (type $said'))
    (type $wide (tuple u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u64))
    (core func $r1 (canon task.return (result $said) (memory (core memory $mem "memory"))))
    (core func $r2 (canon task.return (result $wide) (memory (core memory $mem "memory"))))
    (core module $m
      (import "m" "memory" (memory 1))
      (import "m" "r1" (func $r1 (param i32 i32 i64)))
      (import "m" "r2" (func $r2 (param i32)))
      (func (export "twice") (param $at i32) (param $size i32) (result i32)
        (call $r1 (local.get $at) (local.get $size) (i64.extend_i32_u (i32.mul (local.get $size) (i32.const 2))))
        (i32.const 0))
      (func (export "wide") (result i32)
        (i32.store8 offset=15 (i32.const 64) (i32.const 7))
        (i64.store offset=16 (i32.const 64) (i64.const -5))
        (call $r2 (i32.const 64)) (i32.const 0))
      (func (export "plain") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
      (func (export "cb") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "m" (instance
      (export "memory" (memory $mem "memory")) (export "r1" (func $r1)) (export "r2" (func $r2))))))
    (func (export "twice") async (param "s" string) (result $said) (canon lift (core func $i "twice") async
      (callback (core func $i "cb")) (memory (core memory $mem "memory")) (realloc (core func $mem "alloc"))))
    (func (export "wide") async (result $wide) (canon lift (core func $i "wide") async
      (callback (core func $i "cb")) (memory (core memory $mem "memory"))))
    (func (export "plain") async (param "x" u32) (result u32) (canon lift (core func $i "plain"))))
  (instance $p (instantiate $provider))
  (export "lab:a/b@1.0.0" (instance $p)))"""

PREFIX = "lab:a/b@1.0.0#"


def manifest(data: bytes) -> dict[str, Any]:
    (found,) = [bytes(c.data) for c in read_module(data).customs if c.name == SECTION]
    read: dict[str, Any] = json.loads(found)
    return read


def rows(data: bytes) -> dict[str, dict[str, Any]]:
    return {row["export"]: row for row in manifest(data)["exports"]}


class Host:
    """A host that reads the manifest and the module, and knows nothing else."""

    def __init__(self, data: bytes) -> None:
        self.rows = rows(data)
        self.store = wasmtime.Store()
        module = wasmtime.Module(self.store.engine, data)
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)

    def call(self, name: str, *args: Any) -> Any:
        function = self.exports[name]
        assert isinstance(function, wasmtime.Func)
        return function(self.store, *args)

    def memory(self, row: dict[str, Any]) -> wasmtime.Memory:
        memory = self.exports[row["memory"]]
        assert isinstance(memory, wasmtime.Memory)
        return memory


def test_a_host_can_call_by_it(tmp_path: Path) -> None:
    host = Host(meld.encode(compiled(CALLED, tmp_path)))
    row = host.rows[f"{PREFIX}twice"]
    assert row["wit"] == {"params": [["s", "string"]], "result": "record { text: string, size: u64 }"}
    assert (row["instance"], row["encoding"]) == ("p", "utf8")
    assert row["needs"] == {"memory": True, "realloc": True}
    text = "größer".encode()
    at = host.call(row["realloc"], 0, 0, 1, len(text))
    memory = host.memory(row)
    memory.write(host.store, text, at)
    area = host.call(row["export"], at, len(text))
    where = {part["field"]: (part["offset"], part["size"]) for part in row["return_area"]["layout"]}
    raw = memory.read(host.store, area, area + row["return_area"]["size"])
    pointer, size = struct.unpack_from("<II", raw, where["text"][0])
    (count,) = struct.unpack_from("<Q", raw, where["size"][0])
    assert memory.read(host.store, pointer, pointer + size) == text and count == len(text)
    assert (where, row["return_area"]["align"]) == ({"text": (0, 8), "size": (8, 8)}, 8)
    assert host.call(f"{PREFIX}live") == 1
    host.call(row["post_return"], area)
    assert host.call(f"{PREFIX}live") == 0


def test_parameters_in_memory(tmp_path: Path) -> None:
    host = Host(meld.encode(compiled(CALLED, tmp_path)))
    row = host.rows[f"{PREFIX}wide"]
    assert (row["flat_param_count"], row["core"]) == (17, {"params": ["i32"], "results": ["i64"]})
    assert (row["encoding"], row["post_return"], row["return_area"]) == ("latin1+utf16", None, None)
    at = host.call(row["realloc"], 0, 0, 8, 72)
    host.memory(row).write(host.store, struct.pack("<16Iq", *([0] * 16), -5), at)
    assert host.call(row["export"], at) == -5


def test_flattening(tmp_path: Path) -> None:
    host = Host(meld.encode(compiled(CALLED, tmp_path)))
    row = host.rows[f"{PREFIX}join"]
    assert row["wit"]["params"] == [["v", "variant { a(f32), b(s64), c }"], ["c", "char"], ["f", "flags { x, y }"]]
    assert row["core"] == {"params": ["i32", "i64", "i32", "i32"], "results": ["f64"]}
    assert (row["flat_param_count"], row["needs"]) == (4, {"memory": False, "realloc": False})
    assert (row["memory"], row["realloc"]) == (None, None)
    assert host.call(row["export"], 1, 2, 65, 3) == 0.5


def test_asynchronous_functions_are_called_by_it(tmp_path: Path) -> None:
    host = Host(meld.encode(compiled(ASYNC, tmp_path)))
    twice, wide, plain = (host.rows[f"{PREFIX}{name}"] for name in ("twice", "wide", "plain"))
    assert all(row["async"] for row in (twice, wide, plain))
    assert (twice["needs"], twice["return_area"]) == ({"memory": True, "realloc": True}, None)
    text = "größer".encode()
    at = host.call(twice["realloc"], 0, 0, 1, len(text))
    host.memory(twice).write(host.store, text, at)
    pointer, size, count = host.call(twice["export"], at, len(text))
    assert host.memory(twice).read(host.store, pointer, pointer + size) == text and count == 2 * len(text)
    assert twice["core"]["results"] == ["i32", "i32", "i64"]

    assert wide["needs"] == {"memory": True, "realloc": False}
    area = host.call(wide["export"])
    where = {part["field"]: part["offset"] for part in wide["return_area"]["layout"]}
    raw = host.memory(wide).read(host.store, area, area + wide["return_area"]["size"])
    assert (raw[where["15"]], struct.unpack_from("<q", raw, where["16"])[0]) == (7, -5)

    assert plain["needs"] == {"memory": False, "realloc": False} and host.call(plain["export"], 4) == 5
    assert manifest(meld.encode(compiled(ASYNC, tmp_path)))["omitted"] == []


def test_what_is_not_asynchronous_says_so(tmp_path: Path) -> None:
    assert not any(row["async"] for row in rows(meld.encode(compiled(CALLED, tmp_path))).values())


def test_before_wire_entries_they_are_omitted(tmp_path: Path) -> None:
    """There the core function returns a code for the scheduler of a component."""
    found = manifest_of(compiled(ASYNC, tmp_path, stop_after="merge"))
    assert [row["export"] for row in found["exports"]] == [f"{PREFIX}plain"]
    assert {row["export"] for row in found["omitted"]} >= {f"{PREFIX}twice", f"{PREFIX}wide"}
    assert "lifted asynchronously" in found["omitted"][0]["reason"]


@pytest.mark.parametrize(
    ("text", "call", "answer"),
    [
        (ASYNC, f'{PREFIX}twice("größer")', '{text: "größer", size: 16}'),
        (CALLED, f'{PREFIX}twice("größer")', '{text: "größer", size: 8}'),
    ],
    ids=["async", "sync"],
)
def test_finished_text_runs_by_component_types(
    text: str, call: str, answer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = tmp_path / "finished.wat"
    dump.write_text(meld.print_text(compiled(text, tmp_path)))
    assert main(["run", str(dump), "--invoke", call]) == 0
    assert capsys.readouterr().out.strip() == answer


@pytest.mark.parametrize("text", [CALLED, HOSTED, RESOURCES, ASYNC], ids=["called", "hosted", "resources", "async"])
def test_core_signatures_are_those_of_the_module(text: str, tmp_path: Path) -> None:
    data = meld.encode(compiled(text, tmp_path))
    found = {}
    for export in wasmtime.Module(wasmtime.Engine(), data).exports:
        if isinstance(t := export.type, wasmtime.FuncType):
            found[export.name] = {"params": [str(x) for x in t.params], "results": [str(x) for x in t.results]}
    described = rows(data)
    assert described and all(found[name] == row["core"] for name, row in described.items())
    helpers = {row[key] for row in described.values() for key in ("realloc", "post_return")}
    omitted = {row["export"] for row in manifest(data)["omitted"]}
    assert set(found) <= {*described, *helpers, *omitted, "cabi_realloc", "meld:trapped"}


def test_reproducible_repeated_and_kept_in_text(tmp_path: Path) -> None:
    module = compiled(CALLED, tmp_path)
    data = meld.encode(module)
    assert meld.encode(compiled(CALLED, tmp_path)) == data
    again = parse(meld.print_text(module), "dump.wat")
    assert manifest(meld.encode(again)) == manifest(data)
    twice = compiled(CALLED, tmp_path, passes="merge,adapter-wiring,finish,finish")
    assert manifest(meld.encode(twice)) == manifest(data)


def test_not_where_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert SECTION.encode() not in meld.encode(meld.compile(STREAM))
    without = compiled(CALLED, tmp_path, passes="merge,adapter-wiring,finish{signatures=false}")
    assert SECTION.encode() not in meld.encode(without)


# --- the whole document -------------------------------------------------------------------------------------------


def document(tmp_path: Path, *inputs: str | Path) -> tuple[dict[str, Any], bytes]:
    out, path = tmp_path / "out.wasm", tmp_path / "manifest.json"
    assert main([*map(str, inputs), "-o", str(out), f"--manifest={path}", "-q"]) == 0
    return json.loads(path.read_text()), out.read_bytes()


def test_document(tmp_path: Path) -> None:
    source = tmp_path / "hosted.wat"
    source.write_text(HOSTED)
    found, data = document(tmp_path, source)
    kept = manifest(data)
    assert {key: found[key] for key in kept} == kept
    module = wasmtime.Module(wasmtime.Engine(), data)
    assert [(row["index"], row["module"], row["name"]) for row in found["imports"]] == [
        (i, x.module, x.name) for i, x in enumerate(module.imports)
    ]
    (log,) = found["imports"]
    assert (log["kind"], log["instance"], log["wit"]) == (
        "function",
        "c",
        {"params": [["s", "string"]], "result": None},
    )
    assert isinstance(next(x for x in module.exports if x.name == log["memory"]).type, wasmtime.MemoryType)
    traced = [row for row in found["functions"] if "component" in row]
    assert [(row["index"], row["component"], row["original"]) for row in traced] == [
        (entry.index, entry.component, entry.original) for entry in entries(section(data))
    ]
    assert {row["made"] for row in found["functions"] if "made" in row} >= {"adapter"}
    assert {row["instance"] for row in traced} <= {row["name"] for row in found["components"]}


def test_document_of_a_stream(tmp_path: Path) -> None:
    found, _ = document(tmp_path, *STREAM)
    assert {row["kind"] for row in found["imports"]} == {"stream"}
    assert [row["export"] for row in found["omitted"]] == ["p_new", "p_write", "p_drop", "c_read", "c_get", "c_drop"]


@pytest.mark.parametrize("more", [["--emit=component"], ["--stop-after=link"]])
def test_document_of_a_component_is_refused(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, path = tmp_path / "hosted.wat", tmp_path / "manifest.json"
    source.write_text(HOSTED)
    assert main([str(source), *more, "-o", str(tmp_path / "out.wasm"), f"--manifest={path}", "-q"]) == 2
    assert "--manifest is about a core module" in capsys.readouterr().err
    assert not path.exists()
