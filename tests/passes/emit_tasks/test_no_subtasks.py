"""A program without subtasks: a handle of another kind is none of a subtask, and traps in the words of the engine."""

from __future__ import annotations

import pytest
from both import same

PROGRAM = """(component
  (component $a
    (type $r (resource (rep i32)))
    (type $s (stream u8))
    (core func $resource.new (canon resource.new $r))
    (core func $set.new (canon waitable-set.new))
    (core func $stream.new (canon stream.new $s))
    (core func $cancel (canon subtask.cancel))
    (core func $drop (canon subtask.drop))
    (core module $m
      {imports}
      (import "" "cancel" (func $cancel (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func $made (param i32) (result i32) {made} (i32.const 1))
      (func (export "cancel") (param $kind i32) (drop (call $cancel (call $made (local.get $kind)))))
      (func (export "drop") (param $kind i32) (call $drop (call $made (local.get $kind)))))
    (core instance $i (instantiate $m (with "" (instance
      (export "resource.new" (func $resource.new)) (export "set.new" (func $set.new))
      (export "stream.new" (func $stream.new)) (export "cancel" (func $cancel)) (export "drop" (func $drop))))))
    (func (export "cancel") (param "kind" u32) (canon lift (core func $i "cancel")))
    (func (export "drop") (param "kind" u32) (canon lift (core func $i "drop"))))
  (instance $i (instantiate $a))
  (export "cancel" (func $i "cancel"))
  (export "drop" (func $i "drop")))"""

RESOURCE = '(import "" "resource.new" (func $resource.new (param i32) (result i32)))'
SET = '(import "" "set.new" (func $set.new (result i32)))'
STREAM = '(import "" "stream.new" (func $stream.new (result i64)))'
MAKE_RESOURCE = "(if (i32.eq (local.get 0) (i32.const 1)) (then (return (call $resource.new (i32.const 7)))))"
MAKE_OTHERS = """(if (i32.eq (local.get 0) (i32.const 2)) (then (return (call $set.new))))
  (if (i32.eq (local.get 0) (i32.const 3)) (then (return (i32.wrap_i64 (call $stream.new)))))"""


@pytest.mark.parametrize("function", ["cancel", "drop"])
@pytest.mark.parametrize(
    ("imports", "made", "kinds"),
    [
        ("", "", (0,)),
        (RESOURCE, MAKE_RESOURCE, (0, 1)),
        (RESOURCE + SET + STREAM, MAKE_RESOURCE + MAKE_OTHERS, (0, 1, 2, 3)),
    ],
    ids=["nothing", "resources", "channels"],
)
def test_no_handle_is_a_subtask(imports: str, made: str, kinds: tuple[int, ...], function: str) -> None:
    for kind in kinds:
        (answer,) = same(PROGRAM.format(imports=imports, made=made), (function, kind))
        assert str(answer).startswith("trap: ")
