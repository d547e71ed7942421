"""Error contexts that the host gives, or is given, beside the engine, whose command line alone has them."""

from __future__ import annotations

from pathlib import Path

from engine_cli import invoked, needs_cli
from hosted import composed, product
from open_guests import HELPERS, LIBC, MEMORY, builtins, imports

REALLOC = '(realloc (core func $libc "realloc"))'
BUILTINS = f"""
  (core func $new (canon error-context.new {MEMORY}))
  (core func $message (canon error-context.debug-message {MEMORY} {REALLOC}))
  (core func $drop (canon error-context.drop))
  (core instance $errors (export "m" (memory $libc "m")) (export "new" (func $new))
    (export "message" (func $message)) (export "drop" (func $drop)))
"""
IMPORTED = """
    (import "e" "m" (memory 1))
    (import "e" "new" (func $new (param i32 i32) (result i32)))
    (import "e" "message" (func $message (param i32 i32)))
    (import "e" "drop" (func $drop (param i32)))
"""
CODE = """
    ;; an error context whose message has so many letters
    (func $made (param $n i32) (result i32)
      (memory.fill (i32.const 256) (i32.const 97) (local.get $n))
      (call $new (i32.const 256) (local.get $n)))
    ;; how many, and the last one; it is dropped
    (func $told (param $error i32) (result i32)
      (call $message (local.get $error) (i32.const 64))
      (call $drop (local.get $error))
      (i32.add
        (i32.mul (i32.load (i32.const 68)) (i32.const 1000))
        (i32.load8_u (i32.sub (i32.add (i32.load (i32.const 64)) (i32.load (i32.const 68))) (i32.const 1)))))
"""
HOST = f"""(component {LIBC} {BUILTINS}
  (type $e (result (error error-context)))
  (core func $fails (canon task.return (result $e)))
  (core module $m {IMPORTED}
    (import "e" "fails" (func $fails (param i32 i32)))
    {CODE}
    (func (export "give") (param i32) (result i32) (call $made (local.get 0)))
    (func (export "give-later") (param i32) (call $fails (i32.const 1) (call $made (local.get 0))))
    (func (export "take") (param i32) (result i32) (call $told (local.get 0))))
  (core instance $i (instantiate $m (with "e" (instance (export "m" (memory $libc "m")) (export "new" (func $new))
    (export "message" (func $message)) (export "drop" (func $drop)) (export "fails" (func $fails))))))
  (func (export "give") (param "n" u32) (result error-context) (canon lift (core func $i "give")))
  (func (export "give-later") async (param "n" u32) (result $e) (canon lift (core func $i "give-later") async))
  (func (export "take") (param "e" error-context) (result u32) (canon lift (core func $i "take"))))
"""
PROGRAM = f"""(component
  (import "give" (func $give (param "n" u32) (result error-context)))
  (import "give-later" (func $later async (param "n" u32) (result (result (error error-context)))))
  (import "take" (func $take (param "e" error-context) (result u32)))
  {LIBC} {BUILTINS}
  (core func $give' (canon lower (func $give)))
  (core func $later' (canon lower (func $later) async {MEMORY}))
  (core func $take' (canon lower (func $take)))
  (core module $m {IMPORTED}
    (import "h" "give" (func $give (param i32) (result i32)))
    (import "h" "later" (func $later (param i32 i32) (result i32)))
    (import "h" "take" (func $take (param i32) (result i32)))
    {CODE}
    (func (export "given") (param $n i32) (result i32) (call $told (call $give (local.get $n))))
    (func (export "taken") (param $n i32) (result i32) (local $error i32) (local $told i32)
      (local.set $error (call $made (local.get $n)))
      (local.set $told (call $take (local.get $error)))
      (if (i32.ne (local.get $told) (call $take (local.get $error))) (then unreachable))
      (call $drop (local.get $error))
      (local.get $told))
    (func (export "passed-on") (param $n i32) (result i32) (local $error i32) (local $told i32)
      (local.set $error (call $give (local.get $n)))
      (local.set $told (call $take (local.get $error)))
      (call $drop (local.get $error))
      (local.get $told))
    (func (export "later") (param $n i32) (result i32)
      (if (i32.ne (call $later (local.get $n) (i32.const 128)) (i32.const 2)) (then unreachable))
      (if (i32.ne (i32.load8_u (i32.const 128)) (i32.const 1)) (then unreachable))
      (call $told (i32.load (i32.const 132)))))
  (core instance $i (instantiate $m (with "e" (instance $errors)) (with "h" (instance
    (export "give" (func $give')) (export "later" (func $later')) (export "take" (func $take'))))))
  (func (export "given") (param "n" u32) (result u32) (canon lift (core func $i "given")))
  (func (export "taken") (param "n" u32) (result u32) (canon lift (core func $i "taken")))
  (func (export "passed-on") (param "n" u32) (result u32) (canon lift (core func $i "passed-on")))
  (func (export "later") async (param "n" u32) (result u32) (canon lift (core func $i "later"))))
"""
IMPORTS = ("func give", "func give-later", "func take")
CALLS = ("given(5)", "taken(7)", "passed-on(6)", "later(9)")
EXPORTS = tuple(f"func {call.partition('(')[0]}" for call in CALLS)


@needs_cli
def test_error_contexts(tmp_path: Path) -> None:
    for name, program in (("unfused", PROGRAM), ("fused", product(PROGRAM))):
        made = tmp_path / f"{name}.wasm"
        made.write_bytes(composed(HOST, program, IMPORTS, EXPORTS))
        assert invoked(made, CALLS) == ["5097", "7097", "6097", "9097"], name


@needs_cli
def test_error_contexts_of_exports(tmp_path: Path) -> None:
    """The other way around: what the program exports."""
    made = tmp_path / "made.wasm"
    made.write_bytes(composed(product(HOST), PROGRAM, IMPORTS, EXPORTS))
    assert invoked(made, CALLS) == ["5097", "7097", "6097", "9097"]


STREAMED = builtins("async", reads="s", writes="s").replace("(stream u8)", "(stream error-context)")
SIDE = f"""{LIBC} {BUILTINS} {STREAMED}
  (core func $return (canon task.return (result u32)))
  (core instance $t (export "return" (func $return)))"""
STREAM_IMPORTS = f"""
    {IMPORTED} {imports(reads="s", writes="s").replace('(import "c" "m" (memory 1))', "")}
    (import "t" "return" (func $return (param i32)))"""
STREAM_HOST = f"""(component {SIDE}
  (core module $m {STREAM_IMPORTS} {CODE} {HELPERS}
    ;; two of them are being written, and nothing runs
    (func (export "errors") (param $n i32) (result i32) (local $ends i64)
      (local.set $ends (call $s-new))
      (i32.store (i32.const 192) (call $made (local.get $n)))
      (i32.store (i32.const 196) (call $made (i32.const 2)))
      (drop (call $s-write (call $high (local.get $ends)) (i32.const 192) (i32.const 2)))
      (i32.wrap_i64 (local.get $ends)))
    ;; how many letters one has; it is not dropped, since engines then forget it on the other side, too
    (func (export "one") (param $data i32)
      (drop (call $awaited (local.get $data) (call $s-read (local.get $data) (i32.const 128) (i32.const 1))))
      (call $s-drop-readable (local.get $data))
      (call $message (i32.load (i32.const 128)) (i32.const 64))
      (call $return (i32.load (i32.const 68)))))
  (core instance $i (instantiate $m
    (with "e" (instance $errors)) (with "c" (instance $canon)) (with "t" (instance $t))))
  (func (export "errors") (param "n" u32) (result $s) (canon lift (core func $i "errors")))
  (func (export "one") async (param "data" $s) (result u32) (canon lift (core func $i "one") async)))
"""
STREAM_PROGRAM = f"""(component
  (import "errors" (func $errors (param "n" u32) (result (stream error-context))))
  (import "one" (func $one async (param "data" (stream error-context)) (result u32)))
  {SIDE}
  (core func $errors' (canon lower (func $errors)))
  (core func $one' (canon lower (func $one) async {MEMORY}))
  (core module $m {STREAM_IMPORTS}
    (import "h" "errors" (func $errors (param i32) (result i32)))
    (import "h" "one" (func $one (param i32 i32) (result i32)))
    {CODE} {HELPERS}
    ;; reads one, and has the other one dropped
    (func (export "some") (param $n i32) (local $data i32)
      (local.set $data (call $errors (local.get $n)))
      (drop (call $awaited (local.get $data) (call $s-read (local.get $data) (i32.const 128) (i32.const 1))))
      (call $s-drop-readable (local.get $data))
      (call $return (call $told (i32.load (i32.const 128)))))
    ;; the host reads one of two; both are still known here
    (func (export "offered") (param $n i32) (local $ends i64) (local $task i32)
      (local.set $ends (call $s-new))
      (i32.store (i32.const 192) (call $made (local.get $n)))
      (i32.store (i32.const 196) (call $made (i32.const 2)))
      (local.set $task (call $one (i32.wrap_i64 (local.get $ends)) (i32.const 80)))
      (drop (call $awaited (call $high (local.get $ends))
        (call $s-write (call $high (local.get $ends)) (i32.const 192) (i32.const 2))))
      (call $s-drop-writable (call $high (local.get $ends)))
      (if (i32.shr_u (local.get $task) (i32.const 4))
        (then (drop (call $awaited (i32.shr_u (local.get $task) (i32.const 4)) (i32.const -1)))))
      (call $return
        (i32.add
          (i32.load (i32.const 80))
          (i32.add (call $told (i32.load (i32.const 192))) (call $told (i32.load (i32.const 196))))))))
  (core instance $i (instantiate $m (with "e" (instance $errors)) (with "c" (instance $canon)) (with "t" (instance $t))
    (with "h" (instance (export "errors" (func $errors')) (export "one" (func $one'))))))
  (func (export "some") async (param "n" u32) (result u32) (canon lift (core func $i "some") async))
  (func (export "offered") async (param "n" u32) (result u32) (canon lift (core func $i "offered") async)))
"""


@needs_cli
def test_error_contexts_in_streams(tmp_path: Path) -> None:
    """Elements, of which some go over; what is written remains the instance's own."""
    for name, program in (("unfused", STREAM_PROGRAM), ("fused", product(STREAM_PROGRAM))):
        made = tmp_path / f"{name}.wasm"
        made.write_bytes(composed(STREAM_HOST, program, ("func errors", "func one"), ("func some", "func offered")))
        assert invoked(made, ("some(5)", "offered(4)")) == ["5097", str(4 + 4097 + 2097)], name
