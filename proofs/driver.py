"""Runs many calls of shims from many states at the speed of the engine.

A second module shares the memories of the shims. For each entry of a script it sets the bridge memory to the state of
the entry, calls a shim, and copies out result, headers, rings, and a window and the last byte of the caller's memory.
A call that traps would end the script, so whoever writes one runs those calls alone.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import wasmtime

from proofs.running import function, memory
from proofs.subject import HEADER, Shape, Subject, build

WINDOW = 1024
"""Address in the caller's memory from where reads are looked at."""
WIDTH = 16
UNTOUCHED = 0xCC
EDGE, AT_EDGE = 65535, 0x3F
"""Address of the last byte of the caller's memory, and what it holds before each call."""
ENTRY = struct.Struct("<4I")
RESULT = struct.Struct("<q")


def host_answer(*arguments: int) -> int:
    """What the host returns: a number that depends on each argument."""
    return 77 + sum(n * (argument & 0xFFFF) for n, argument in enumerate(arguments, 2))


@dataclass(frozen=True, slots=True)
class Call:
    """One call: operation (its number among those of the shape), handle, pointer, length."""

    operation: int
    handle: int = 0
    pointer: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class After:
    """What a call did; `result` is 0 if there is none. The last byte of the memory follows the window."""

    result: int
    headers: bytes
    rings: bytes
    window: bytes


class Driver:
    """Shims (of a mutant, if there is a `text`) with a script runner beside them.

    `host_calls` counts the calls that reached the host, which answers with `host_answer`.
    """

    def __init__(self, shape: Shape, text: str | None = None) -> None:
        assert shape.kind == "stream"
        self.shape = shape
        self.headers_size, self.rings_size = shape.headers * HEADER, shape.slots * shape.ring
        self.entry = -(-(ENTRY.size + self.headers_size + self.rings_size) // 8) * 8
        self.record = RESULT.size + self.headers_size + self.rings_size + WIDTH + 1
        self.host_calls = 0
        config = wasmtime.Config()
        config.wasm_multi_memory = True
        engine = wasmtime.Engine(config)
        self.store = wasmtime.Store(engine)
        subject: Subject = build(shape, text)
        module = wasmtime.Module(engine, subject.binary)
        shims = wasmtime.Instance(self.store, module, [self._host(item.type) for item in module.imports])
        self.exports = shims.exports(self.store)
        self.bridge, self.memory = memory(self.exports, "bridge"), memory(self.exports, "memory")
        self.memory.grow(self.store, 1)
        linker = wasmtime.Linker(engine)
        linker.define_instance(self.store, "shims", shims)
        binary = bytes(wasmtime.wat2wasm(self._text()))
        runner = linker.instantiate(self.store, wasmtime.Module(engine, binary)).exports(self.store)
        self.run_script, self.log = function(runner, "run"), memory(runner, "log")

    def _host(self, type: Any) -> wasmtime.Func:
        def called(*arguments: int) -> int | None:
            self.host_calls += 1
            return host_answer(*arguments) if type.results else None

        return wasmtime.Func(self.store, type, called)

    def _text(self) -> str:
        wide = "(i64.extend_i32_s {})"
        handle, transfer = (
            "(local.get $handle)",
            "(local.get $handle) (local.get $pointer) (local.get $length) (i32.const 0)",
        )
        calls = []
        for name in self.shape.operations:
            match name.removeprefix("stream_"):
                case "new":
                    calls.append("(call $stream_new)")
                case "read" | "write":
                    calls.append(wide.format(f"(call ${name} {transfer})"))
                case "cancel_read" | "cancel_write":
                    calls.append(wide.format(f"(call ${name} {handle})"))
                case _:
                    calls.append(f"(call ${name} {handle}) (i64.const 0)")
        arms = "".join(
            f"(if (i32.eq (local.get $op) (i32.const {n})) (then {call} (local.set $result)))\n"
            for n, call in enumerate(calls)
        )
        signatures = {
            "stream_new": "(result i64)",
            "stream_read": "(param i32 i32 i32 i32) (result i32)",
            "stream_write": "(param i32 i32 i32 i32) (result i32)",
            "stream_cancel_read": "(param i32) (result i32)",
            "stream_cancel_write": "(param i32) (result i32)",
            "stream_drop_readable": "(param i32)",
            "stream_drop_writable": "(param i32)",
        }
        imports = "\n".join(f'(import "shims" "{n}" (func ${n} {s}))' for n, s in signatures.items())
        headers, rings, first = self.headers_size, self.rings_size, self.shape.first_room
        return f"""(module
          (import "shims" "bridge" (memory $bridge 1))
          (import "shims" "memory" (memory $memory 0))
          {imports}
          (memory $log (export "log") 1)
          (func (export "run") (param $in i32) (param $end i32) (param $out i32)
            (local $op i32) (local $handle i32) (local $pointer i32) (local $length i32) (local $result i64)
            (loop $next
              (if (i32.ge_u (local.get $in) (local.get $end)) (then (return)))
              (local.set $op (i32.load $log (local.get $in)))
              (local.set $handle (i32.load $log offset=4 (local.get $in)))
              (local.set $pointer (i32.load $log offset=8 (local.get $in)))
              (local.set $length (i32.load $log offset=12 (local.get $in)))
              (memory.copy $bridge $log (i32.const 0) (i32.add (local.get $in) (i32.const 16)) (i32.const {headers}))
              (memory.copy $bridge $log
                (i32.const {first}) (i32.add (local.get $in) (i32.const {16 + headers})) (i32.const {rings}))
              (memory.fill $memory (i32.const {WINDOW}) (i32.const {UNTOUCHED}) (i32.const {WIDTH}))
              (i32.store8 $memory (i32.const {EDGE}) (i32.const {AT_EDGE}))
              {arms}
              (i64.store $log (local.get $out) (local.get $result))
              (memory.copy $log $bridge (i32.add (local.get $out) (i32.const 8)) (i32.const 0) (i32.const {headers}))
              (memory.copy $log $bridge
                (i32.add (local.get $out) (i32.const {8 + headers})) (i32.const {first}) (i32.const {rings}))
              (memory.copy $log $memory
                (i32.add (local.get $out) (i32.const {8 + headers + rings})) (i32.const {WINDOW}) (i32.const {WIDTH}))
              (i32.store8 $log offset={8 + headers + rings + WIDTH}
                (local.get $out) (i32.load8_u $memory (i32.const {EDGE})))
              (local.set $in (i32.add (local.get $in) (i32.const {self.entry})))
              (local.set $out (i32.add (local.get $out) (i32.const {self.record})))
              (br $next))))"""

    def run(self, script: Sequence[tuple[Call, bytes, bytes]]) -> list[After]:
        """Runs calls that do not trap, each from its own headers and rings."""
        pad = bytes(self.entry - ENTRY.size - self.headers_size - self.rings_size)
        data = b"".join(
            ENTRY.pack(call.operation, call.handle, call.pointer, call.length) + headers + rings + pad
            for call, headers, rings in script
        )
        need = len(data) + len(script) * self.record
        have = self.log.data_len(self.store)
        if need > have:
            self.log.grow(self.store, -(-(need - have) // 65536))
        self.log.write(self.store, data, 0)
        self.run_script(self.store, 0, len(data), len(data))
        out = bytes(self.log.read(self.store, len(data), need))
        found = []
        h, r = 8 + self.headers_size, 8 + self.headers_size + self.rings_size
        for n in range(len(script)):
            one = out[n * self.record : (n + 1) * self.record]
            found.append(After(RESULT.unpack_from(one)[0], one[8:h], one[h:r], one[r:]))
        return found

    def traps(self, call: Call, headers: bytes, rings: bytes) -> bool:
        """Runs a call that should trap; whether it did, and no header and no ring has changed."""
        self.bridge.write(self.store, headers, 0)
        self.bridge.write(self.store, rings, self.shape.first_room)
        name = self.shape.operations[call.operation]
        words = [w - (1 << 32) if w >> 31 else w for w in (call.handle, call.pointer, call.length, 0)]
        shim = function(self.exports, name)
        try:
            shim(self.store, *(words if name in ("stream_read", "stream_write") else words[:1]))
        except wasmtime.Trap:
            first = self.shape.first_room
            after = (
                self.bridge.read(self.store, 0, len(headers)),
                self.bridge.read(self.store, first, first + len(rings)),
            )
            return tuple(map(bytes, after)) == (headers, rings)
        return False
