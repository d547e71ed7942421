"""Why things trap: a fused module names the reason that the engine gives for the components unfused."""

from __future__ import annotations

import pytest
import wasmtime
from both import fused, same, unfused

from meld.abi.traps import OF_INDEX, Trap

WRONG_TYPE = OF_INDEX[Trap.HANDLE_TYPE].format(1)


def owner_and_user(body: str, callback: str = "") -> str:
    """`a` defines a resource; `b` uses it in `g`; `c` lends one to `b`'s callback in `h`."""
    return f"""(component
  (component $A
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core func $rep (canon resource.rep $r'))
    (core func $drop (canon resource.drop $r'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "take") (param i32) (call $drop (local.get 0)))
      (func (export "look") (param i32) (result i32) (local.get 0))
      (func (export "both") (param i32 i32))
      (func (export "ask") (param i32) (result i32) (call $rep (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
    (func (export "make") (param "x" u32) (result (own $r)) (canon lift (core func $i "make")))
    (func (export "forge") (param "x" u32) (result (own $r)) (canon lift (core func $i "look")))
    (func (export "take") (param "x" (own $r)) (canon lift (core func $i "take")))
    (func (export "look") (param "x" (borrow $r)) (result u32) (canon lift (core func $i "look")))
    (func (export "both") (param "x" (borrow $r)) (param "y" (own $r)) (canon lift (core func $i "both")))
    (func (export "ask") (param "x" u32) (result u32) (canon lift (core func $i "ask"))))
  (instance $a (instantiate $A))
  (component $B
    (import "a" (instance $a
      (export "r" (type $r (sub resource)))
      (export "make" (func (param "x" u32) (result (own $r))))
      (export "forge" (func (param "x" u32) (result (own $r))))
      (export "take" (func (param "x" (own $r))))
      (export "look" (func (param "x" (borrow $r)) (result u32)))
      (export "both" (func (param "x" (borrow $r)) (param "y" (own $r))))
      (export "ask" (func (param "x" u32) (result u32)))))
    (alias export $a "r" (type $r))
    (type $other (resource (rep i32)))
    (core func $make (canon lower (func $a "make")))
    (core func $forge (canon lower (func $a "forge")))
    (core func $take (canon lower (func $a "take")))
    (core func $look (canon lower (func $a "look")))
    (core func $both (canon lower (func $a "both")))
    (core func $ask (canon lower (func $a "ask")))
    (core func $drop (canon resource.drop $r))
    (core func $new-other (canon resource.new $other))
    (core func $rep-other (canon resource.rep $other))
    (core func $drop-other (canon resource.drop $other))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "forge" (func $forge (param i32) (result i32)))
      (import "" "take" (func $take (param i32)))
      (import "" "look" (func $look (param i32) (result i32)))
      (import "" "both" (func $both (param i32 i32)))
      (import "" "ask" (func $ask (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "new-other" (func $new-other (param i32) (result i32)))
      (import "" "rep-other" (func $rep-other (param i32) (result i32)))
      (import "" "drop-other" (func $drop-other (param i32)))
      (global $kept (mut i32) (i32.const 0))
      (func (export "callback") (param $h i32) {callback})
      (func (export "g") (result i32) (local $h i32) {body}))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "forge" (func $forge)) (export "take" (func $take))
      (export "look" (func $look)) (export "both" (func $both)) (export "ask" (func $ask))
      (export "drop" (func $drop)) (export "new-other" (func $new-other)) (export "rep-other" (func $rep-other))
      (export "drop-other" (func $drop-other))))))
    (func (export "callback") (param "x" (borrow $r)) (canon lift (core func $i "callback")))
    (func (export "g") (result u32) (canon lift (core func $i "g"))))
  (instance $b (instantiate $B (with "a" (instance $a))))
  (component $C
    (import "r" (type $r (sub resource)))
    (import "make" (func $make (param "x" u32) (result (own $r))))
    (import "callback" (func $callback (param "x" (borrow $r))))
    (core func $make (canon lower (func $make)))
    (core func $callback (canon lower (func $callback)))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "callback" (func $callback (param i32)))
      (func (export "h") (result i32) (call $callback (call $make (i32.const 9))) i32.const 5))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "callback" (func $callback))))))
    (func (export "h") (result u32) (canon lift (core func $i "h"))))
  (instance $c (instantiate $C
    (with "r" (type $a "r")) (with "make" (func $a "make")) (with "callback" (func $b "callback"))))
  (export "g" (func $b "g"))
  (export "h" (func $c "h")))"""


HANDLES = {
    "(call $drop (i32.const 0)) i32.const 1": "unknown handle index 0",
    "(call $take (i32.const 3)) i32.const 1": "unknown handle index 3",
    "(call $look (i32.const 7))": "unknown handle index 7",
    "(call $look (i32.const -1))": "unknown handle index 4294967295",
    "(call $forge (i32.const 3))": "unknown handle index 3",
    "(call $ask (i32.const 3))": "unknown handle index 3",
    "(local.set $h (call $make (i32.const 7))) (call $drop (local.get $h)) (call $look (local.get $h))": (
        "unknown handle index 1"
    ),
    "(call $drop (call $new-other (i32.const 4))) i32.const 0": WRONG_TYPE,
    "(call $take (call $new-other (i32.const 4))) i32.const 0": WRONG_TYPE,
    "(call $look (call $new-other (i32.const 4)))": WRONG_TYPE,
    "(call $rep-other (call $make (i32.const 4)))": WRONG_TYPE,
    "(call $drop-other (call $make (i32.const 4))) i32.const 0": WRONG_TYPE,
    "(call $both (local.tee $h (call $make (i32.const 4))) (local.get $h)) i32.const 0": (
        "cannot remove owned resource while borrowed"
    ),
}


@pytest.mark.parametrize("body", HANDLES)
def test_handles(body: str) -> None:
    closed = "trap: cannot enter component instance"
    assert same(owner_and_user(body), ("g",), ("g",)) == [f"trap: {HANDLES[body]}", closed]


BORROWED = {
    "(call $drop (local.get $h))": None,
    "(drop (call $look (local.get $h))) (call $drop (local.get $h))": None,
    "nop": "borrow handles still remain at the end of the call",
    "(drop (call $make (i32.const 9)))": "borrow handles still remain at the end of the call",
    "(call $drop (local.get $h)) (call $drop (local.get $h))": "unknown handle index 1",
    "(call $take (local.get $h))": "cannot lift own resource from a borrow",
    "(call $both (local.get $h) (local.get $h))": "cannot lift own resource from a borrow",
}


@pytest.mark.parametrize("body", BORROWED)
def test_a_borrowed_handle(body: str) -> None:
    why = BORROWED[body]
    assert same(owner_and_user("i32.const 0", body), ("h",)) == [5 if why is None else f"trap: {why}"]


def test_a_large_index_has_no_name() -> None:
    """The engine gives the number; a name cannot."""
    wasm, calls = bytes(wasmtime.wat2wasm(owner_and_user("(call $look (i32.const 1000))"))), (("g",),)
    assert unfused(wasm, calls) == ["trap: unknown handle index 1000"]
    assert fused(wasm, calls) == ["trap: unknown handle index"]


def nested_borrows(inner: str, outer: str) -> str:
    """`h` lends two resources to `b` one within the other: the first call of `outer` makes the second, of `inner`.

    $first is the handle of the outer call, $h that of the running one.
    """
    return f"""(component
  (component $A
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core module $m (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "make") (param "x" u32) (result (own $r)) (canon lift (core func $i "make"))))
  (instance $a (instantiate $A))
  (component $P
    (import "r" (type $r (sub resource)))
    (import "make" (func $make (param "x" u32) (result (own $r))))
    (core func $make (canon lower (func $make)))
    (core func $drop (canon resource.drop $r))
    (core module $first
      (import "" "drop" (func $drop (param i32)))
      (global $first (export "first") (mut i32) (i32.const 0))
      (func (export "inner") (param $h i32) {inner}))
    (core instance $first (instantiate $first (with "" (instance (export "drop" (func $drop))))))
    (func $inner (param "x" (borrow $r)) (canon lift (core func $first "inner")))
    (component $M
      (import "r" (type $r (sub resource)))
      (import "make" (func $make (param "x" u32) (result (own $r))))
      (import "inner" (func $inner (param "x" (borrow $r))))
      (core func $make (canon lower (func $make)))
      (core func $inner (canon lower (func $inner)))
      (core module $m
        (import "" "make" (func $make (param i32) (result i32)))
        (import "" "inner" (func $inner (param i32)))
        (func (export "again") (call $inner (call $make (i32.const 2)))))
      (core instance $i (instantiate $m (with "" (instance
        (export "make" (func $make)) (export "inner" (func $inner))))))
      (func (export "again") (canon lift (core func $i "again"))))
    (instance $m (instantiate $M (with "r" (type $r)) (with "make" (func $make)) (with "inner" (func $inner))))
    (core func $again (canon lower (func $m "again")))
    (core module $second
      (import "" "drop" (func $drop (param i32)))
      (import "" "again" (func $again))
      (import "" "first" (global $first (mut i32)))
      (func (export "outer") (param $h i32) (global.set $first (local.get $h)) {outer}))
    (core instance $second (instantiate $second (with "" (instance
      (export "drop" (func $drop)) (export "again" (func $again)) (export "first" (global $first "first"))))))
    (func (export "outer") (param "x" (borrow $r)) (canon lift (core func $second "outer"))))
  (instance $p (instantiate $P (with "r" (type $a "r")) (with "make" (func $a "make"))))
  (component $C
    (import "r" (type $r (sub resource)))
    (import "make" (func $make (param "x" u32) (result (own $r))))
    (import "outer" (func $outer (param "x" (borrow $r))))
    (core func $make (canon lower (func $make)))
    (core func $outer (canon lower (func $outer)))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "outer" (func $outer (param i32)))
      (func (export "h") (result i32) (call $outer (call $make (i32.const 1))) i32.const 5))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "outer" (func $outer))))))
    (func (export "h") (result u32) (canon lift (core func $i "h"))))
  (instance $c (instantiate $C
    (with "r" (type $a "r")) (with "make" (func $a "make")) (with "outer" (func $p "outer"))))
  (export "h" (func $c "h")))"""


DROP, DROP_FIRST, AGAIN = "(call $drop (local.get $h))", "(call $drop (global.get $first))", "(call $again)"


@pytest.mark.parametrize(
    ("inner", "outer", "fine"),
    [
        (DROP, AGAIN + DROP, True),
        (DROP, DROP + AGAIN, True),
        (DROP + DROP_FIRST, AGAIN, True),
        (DROP_FIRST, AGAIN, False),  # as many handles go as came, but not the ones of this call
        (DROP, AGAIN, False),
        ("nop", AGAIN + DROP, False),
    ],
)
def test_borrows_are_counted_per_call(inner: str, outer: str, fine: bool) -> None:
    """An instance that is entered again while it borrows has to give back what each call lent it."""
    remain = "trap: borrow handles still remain at the end of the call"
    assert same(nested_borrows(inner, outer), ("h",), ("h",))[0] == (5 if fine else remain)


def with_destructor(destructor: str, body: str) -> str:
    """`a` defines a resource with a destructor, drops one itself in `own`; `b` drops one in `g`."""
    return f"""(component
  (component $A
    (core module $d (tag $t) (global $n (mut i32) (i32.const 0))
      (func (export "dtor") (param i32) {destructor})
      (func (export "last") (result i32) global.get $n))
    (core instance $d (instantiate $d))
    (type $r' (resource (rep i32) (dtor (core func $d "dtor"))))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core func $drop (canon resource.drop $r'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "own") (result i32)
        (block $caught
          (try_table (catch_all $caught) (call $drop (call $new (i32.const 5))))
          (return (i32.const 1)))
        i32.const 77))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
    (func (export "make") (param "x" u32) (result (own $r)) (canon lift (core func $i "make")))
    (func (export "own") (result u32) (canon lift (core func $i "own")))
    (func (export "last") (result u32) (canon lift (core func $d "last"))))
  (instance $a (instantiate $A))
  (component $B
    (import "a" (instance $a
      (export "r" (type $r (sub resource)))
      (export "make" (func (param "x" u32) (result (own $r))))
      (export "last" (func (result u32)))))
    (alias export $a "r" (type $r))
    (core func $make (canon lower (func $a "make")))
    (core func $last (canon lower (func $a "last")))
    (core func $drop (canon resource.drop $r))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "last" (func $last (result i32)))
      (func (export "g") (result i32) {body}))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "drop" (func $drop)) (export "last" (func $last))))))
    (func (export "g") (result u32) (canon lift (core func $i "g"))))
  (instance $b (instantiate $B (with "a" (instance $a))))
  (export "own" (func $a "own"))
  (export "last" (func $a "last"))
  (export "g" (func $b "g")))"""


def test_destructors() -> None:
    thrown = "trap: uncaught exception propagated out of component"
    body = "(call $drop (call $make (i32.const 3))) (call $last)"
    assert same(with_destructor("(global.set $n (local.get 0))", body), ("g",), ("own",), ("last",)) == [3, 1, 5]
    assert same(with_destructor("(throw $t)", body), ("g",)) == [thrown]
    assert same(with_destructor("(throw $t)", body), ("own",))[0] == thrown


def leaving(what: str, *, post: bool) -> str:
    """`b` calls out of its `realloc`, or of its `post-return`, which `c` has run."""
    return f"""(component
  (component $A
    (core module $m (func (export "f") (result i32) (i32.const 1)))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))
  (instance $a (instantiate $A))
  (component $B
    (import "f" (func $f (result u32)))
    (core func $f (canon lower (func $f)))
    (type $r (resource (rep i32)))
    (core func $new (canon resource.new $r))
    (core func $rep (canon resource.rep $r))
    (core func $drop (canon resource.drop $r))
    (core module $m
      (import "" "f" (func $f (result i32)))
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (memory (export "m") 1)
      (global $h (mut i32) (i32.const 0))
      (func $start (global.set $h (call $new (i32.const 77))))
      (start $start)
      (func $out {what})
      (func (export "r") (param i32 i32 i32 i32) (result i32) {"" if post else "(call $out)"} (i32.const 512))
      (func (export "post") (param i32) {"(call $out)" if post else ""})
      (func (export "g") (param i32 i32) (result i32) (i32.const 3)))
    (core instance $i (instantiate $m (with "" (instance
      (export "f" (func $f)) (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
    (func (export "g") (param "x" string) (result u32) (canon lift (core func $i "g")
      (memory (core memory $i "m")) (realloc (core func $i "r")) (post-return (core func $i "post")))))
  (instance $b (instantiate $B (with "f" (func $a "f"))))
  (component $C
    (import "g" (func $g (param "x" string) (result u32)))
    (core module $l (memory (export "m") 1))
    (core instance $l (instantiate $l))
    (core func $g (canon lower (func $g) (memory (core memory $l "m"))))
    (core module $m
      (import "" "g" (func $g (param i32 i32) (result i32)))
      (func (export "h") (result i32) (call $g (i32.const 0) (i32.const 2))))
    (core instance $i (instantiate $m (with "" (instance (export "g" (func $g))))))
    (func (export "h") (result u32) (canon lift (core func $i "h"))))
  (instance $c (instantiate $C (with "g" (func $b "g"))))
  (export "h" (func $c "h")))"""


@pytest.mark.parametrize(
    ("what", "allowed"),
    [
        ("(drop (call $f))", False),
        ("(drop (call $new (i32.const 1)))", False),
        ("(call $drop (global.get $h))", False),
        ("(drop (call $rep (global.get $h)))", True),
    ],
)
def test_leaving(what: str, allowed: bool) -> None:
    trap = "trap: cannot leave component instance"
    assert same(leaving(what, post=False), ("h",))[0] == (3 if allowed else trap)
    assert same(leaving(what, post=True), ("h",)) == [3]
