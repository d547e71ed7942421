"""Texts of core modules for the tests: one with every form that there is, and many that are malformed."""

from __future__ import annotations

EVERYTHING = """\
;; everything
(module $m (@name "the module")
  (@custom "a" (before first) "x" "\\ffy")
  (@custom "b" (after code) "z")
  (@custom "c" "end")
  (type $s (sub (struct (field $x i32) (field $y (mut i8)) (field (ref null $s) i64))))
  (rec
    (type $r (sub final $s (struct (field i32) (field (mut i8)) (field (ref null $s) i64) (field (ref $q)))))
    (type $q (array (mut (ref null $r)))))
  (type $a8 (array (mut i8)))
  (type $f (func (param i32) (result i32)))
  (import "m" "f" (func $imp (type $f)))
  (import "m" "g" (global $ig i32))
  (import "m" "t" (table $it 1 2 (ref null func)))
  (import "m" "tag" (tag $tg (param i32)))
  (func $inl (export "e1") (export "e2") (import "m" "h") (param i32))
  (memory $im (import "m" "mem") 1 2 shared)
  (global (import "m" "gg") (mut f32))
  (memory $m1 (export "mem1") 1)
  (memory $d (data "abc" "\\00\\n\\u{e9}\\t\\"\\\\"))
  (memory $m64 i64 1 0x2)
  (memory $ps 1 2 (pagesize 1))
  (table $t0 funcref (elem $imp $f1 $imp))
  (table $t1 i64 2 3 externref)
  (table $t2 1 (ref null $q) (ref.null $q))
  (table (export "tt") funcref (elem (ref.func $imp) (ref.null func) (item ref.func $f1)))
  (tag $tg2 (export "tag") (type $f2))
  (type $f2 (func (param i64)))
  (global $g0 (mut i32) (i32.add (global.get $ig) (i32.const 1)))
  (global $g1 v128 (v128.const f32x4 0x1p3 nan inf -0))
  (global $g2 v128 v128.const i16x8 -1 0xffff 3 4 5 6 7 8)
  (global $g3 f32 f32.const nan:0x200000)
  (global $g4 f64 (f64.const -0x1.8p-1074))
  (global $g5 (ref i31) (ref.i31 (i32.const 5)))
  (start $st)
  (func $st)
  (elem $e0 (i32.const 0) $f1 $f1)
  (elem (table $t0) (offset (i32.const 1)) func $f1)
  (elem $e1 func $f1)
  (elem $e2 declare func $f1 $f3)
  (elem $e3 externref (ref.null extern))
  (elem (table $t2) (i32.const 0) (ref null $q) (item (ref.null $q)))
  (elem declare funcref (item ref.func $f3))
  (elem $pe (ref null i31) (ref.i31 (i32.const 1)))
  (data $d0 (i32.const 1_0) "hello")
  (data (memory $m1) (offset i32.const 0x10) "a" "b")
  (data $d1 "passive")
  (func $f1 (param $a i32) (param i64 f32) (result i32) (result i64) 
    (local $l i32) (local f64 f64) (local $"sp ace" funcref)
    (block $b (result i32) (br_if $b (i32.const 1) (local.get $a)) (drop) i32.const 2)
    (if (result i64) (local.get 0) (then i64.const 1) (else i64.const 2)))
  (func $f3 (param i32) (result i32)
    (local $x (ref null $s)) (local (ref null $a8))
    block $outer
      loop $inner
        local.get 0
        br_table $inner $outer 1 0
      end $inner
    end $outer
    (struct.new $s (i32.const 1) (i32.const 2) (ref.null $s) (i64.const 3))
    struct.get_s $s $y
    drop
    local.get $x
    struct.get $s 0
    drop
    (struct.set $s $y (local.get $x) (i32.const 3))
    (array.new_fixed $a8 3 (i32.const 1) (i32.const 2) (i32.const 3)) drop
    (array.new_data $a8 $d1 (i32.const 0) (i32.const 1)) drop
    (call_indirect $t0 (type $f) (i32.const 0) (i32.const 1)) drop
    (call_indirect (param i32) (result i32) (i32.const 0) (i32.const 1)) drop
    (call_indirect (i32.const 1))
    (memory.copy $m1 $d (i32.const 0) (i32.const 0) (i32.const 0))
    (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
    (memory.init $d1 (i32.const 0) (i32.const 0) (i32.const 0))
    (memory.init $m1 $d1 (i32.const 0) (i32.const 0) (i32.const 0))
    (memory.fill $m1 (i32.const 0) (i32.const 0) (i32.const 0))
    (table.init $e1 (i32.const 0) (i32.const 0) (i32.const 0))
    (table.init $t0 $e1 (i32.const 0) (i32.const 0) (i32.const 0))
    (table.copy $t0 $it (i32.const 0) (i32.const 0) (i32.const 0))
    (drop (table.get $t0 (i32.const 0)))
    (drop (table.size)) (drop (table.size $t1)) (drop (memory.size $m64)) (drop (memory.grow (i32.const 0)))
    (i64.store offset=8 align=4 (i32.const 0) (i64.const 1))
    (i64.store $m1 offset=0x10 (i32.const 0) (i64.const 1))
    (drop (i64.load $m64 offset=4294967296 (i64.const 1)))
    (drop (v128.load8_lane $m1 offset=1 3 (i32.const 0) (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)))
    (drop (v128.load8_lane 1 3 (i32.const 0) (v128.const i64x2 0 1)))
    (drop (v128.load8_lane 3 (i32.const 0) (v128.const i64x2 0 1)))
    (drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31 (v128.const i64x2 0 1) (v128.const i64x2 0 1)))
    (drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3)))
    (drop (select (i32.const 1) (i32.const 2) (i32.const 3)))
    (block $h (result exnref) (block $k (result i32)
       (try_table (catch $tg $k) (catch_all_ref $h) (throw $tg (i32.const 1)))
       unreachable) unreachable) drop
    block $nb (result (ref null i31))
      ref.null any
      br_on_cast $nb anyref (ref null i31)
      drop
      ref.null i31
    end
    drop
    block (param) (result i32 i64)
      i32.const 1 i64.const 2
    end
    drop drop
    i32.const 1
    block $pb (param i32) (result i32) (block $pb br $pb) end
    drop
    (i32.atomic.store (i32.const 0) (i32.atomic.rmw.cmpxchg (i32.const 0) (i32.const 0) (i32.const 0)))
    atomic.fence
    (ref.test (ref $s) (local.get $x)) drop
    (ref.cast (ref null $s) (local.get $x)) drop
    (call_ref $f (i32.const 1) (ref.func $imp)) drop
    (if (i32.const 1) (then (nop) (nop)))
    i32.const 0
    if $lab
      nop
    else $lab
      nop
    end $lab
    (; block (; nested ;) comment ;)
    i32.const -0x80000000 drop i32.const 0xffffffff drop i64.const 18446744073709551615 drop
    f32.const 0x1.000001p0 drop f32.const 1e-45 drop f64.const 1_0.5e1_0 drop f32.const 16777217 drop
    (return_call $f3 (i32.const 1)))
)
"""

MALFORMED = [
    # the text, a part of the message, the beginning of what is marked
    ("", "expected `(module`", ""),
    ("module", "expected `(module`", "m"),
    ("(modul)", "expected `(module`", "(modul"),
    ("(module", "ends before `(module` is closed", "(module"),
    ("(module) (module)", "unexpected `(module`", "(module"),
    ("(module (func (param i32)", "ends before `(func` is closed", "(func"),
    ("(module (fnc))", "unexpected `(fnc` in `(module`: expected", "(fnc"),
    ("(module (memory 1) x)", "unexpected `x` in `(module`", "x"),
    ("(module (table 1))", "expected a reference type or `(ref`", ")"),
    ('(module (import "a" (func)))', "expected a string", "(func"),
    ("(module é)", "unexpected character", "é"),
    ("(module (; x)", "comment is never closed", "(;"),
    ('(module (data "a))', "string is never closed", '"'),
    ('(module (data "\\zz"))', "malformed string", '"'),
    ("(module (memory 99999999999999999999999))", "a number of 64 bits", "9999"),
    ("(module (func)\n  (func i32.ad))", "unknown instruction `i32.ad`", "i32.ad"),
    ("(module (func (param i32) (parm i32)))", "unknown instruction `parm`", "parm"),
    ("(module (func (local i32) (param i32)))", "`param` is out of place", "param"),
    ("(module (func block))", "this `block` has no `end`", "block"),
    ("(module (func (block))(func (block block)))", "this `block` has no `end`", "block"),
    ("(module (func end))", "`end` outside of a block", "end"),
    ("(module (func else))", "`else` outside of a block", "else"),
    ("(module (func (then)))", "`then` is out of place", "then"),
    ("(module (func (if (i32.const 1))))", "expected `(then`", ")"),
    ("(module (func (if (then) (drop))))", "expected `(else` or `)`", "drop"),
    ("(module (func (i32.const 0 i32.const 1)))", "expected `(` or `)`", "i32.const"),
    ("(module (func i32.const))", "expected an integer of 32 bits, found the end", ")"),
    ("(module (func i32.const 4294967296))", "expected an integer of 32 bits", "4294967296"),
    ("(module (func f32.const 1e99))", "expected a float of 32 bits", "1e99"),
    ("(module (func v128.const i32x4 1 2 3))", "expected an integer", ")"),
    ("(module (memory 1) (func i32.load align=3))", "an alignment is a power of two", "align=3"),
    ("(module (func i32.load))", "needs a memory", "i32.load"),
    ("(module (func local.get $y))", "unknown local `$y`", "$y"),
    ("(module (func call $f))", "unknown function `$f`", "$f"),
    ("(module (func call 7))", "unknown function 7: there are 1", "7"),
    ("(module (func br $l))", "unknown label `$l`", "$l"),
    ("(module (func block $a end $b))", "the block that ends here is `$a`", "$b"),
    ("(module (type $s (struct (field $a i32))) (func struct.get $s $b))", "unknown field `$b`", "$b"),
    ("(module (type (sub 5 (func))))", "unknown type 5", "5"),
    ("(module (func $f) (func $f))", "`$f` is defined twice", "$f"),
    ("(module (func (param $a i32) (local $a i32)))", "`$a` is defined twice", "$a"),
    ("(module (type (func (param i32))) (func (type 0) (param i64)))", "not those of the type", "0"),
    ("(module (type (struct)) (func (type 0)))", "not a function type", "0"),
    ('(module (func) (import "a" "b" (func)))', "imports stand in front", "(func"),
    ('(module (data (i32.const 0) "a"))', "needs a memory", "(i32.const"),
    ('(module (export "a" (func $x)))', "unknown function `$x`", "$x"),
    ("(module (func $))", "expected an instruction", "$"),
    ('(module quote "")', "is not read", "(module"),
    ("(module (func (@meld.owner $x)))", "unknown note", "(@meld.owner"),
    (
        '(module (@meld.resource $r (label "r")) (func (@meld.owner $r)))',
        "takes a note `@meld.instance`",
        "(@meld.owner",
    ),
    (
        '(module (@meld.instance $a) (@meld.export "f" (instance $a) (target 0) (type (result (own $a)))) (func))',
        "a handle is of a resource",
        "(@meld.export",
    ),
    ("(module (@meld.instance $a) (@meld.instance $a))", "declared twice", "(@meld.instance"),
    ("(module (@meld.pair (producer $a)))", "", "(@meld.pair"),
    ("(module (@custom 1))", "expected `(@custom", "(@custom"),
    ("(module (func (@meld.x) nop (@meld.y)))(", "expected nothing more", "("),
    ("(module (memory 1) (func i32.const 1 (@meld.index $m)))", "unknown memory `$m`", "(@meld.index"),
]
