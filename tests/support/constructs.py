"""Small programs, each with one construct that a frame may be suspended in. All export ``run : [i32] -> [i32]``."""

from __future__ import annotations

HOST = """
(module
  (type $s (struct (field (mut i32)) (field i64)))
  (type $sig (func (param i32) (result i32)))
  (import "host" "ask" (func $ask (type $sig)))
  (import "host" "see" (func $see (param externref) (result i32)))
  (import "host" "thing" (func $thing (param i32) (result externref)))
  (tag $e (param i32 i64))
  (tag $n)
  (memory (export "memory") 1)
  (global $g (export "g") (mut i32) (i32.const 0))
  (func $is_null (param funcref) (result i32) (ref.is_null (local.get 0)))
"""

CASES: dict[str, str] = {
    "block with parameters": """
      (func (export "run") (param $n i32) (result i32)
        i32.const 3
        i64.const 4
        (call $ask (i32.const 1))
        block (param i64 i32) (result i64)
          call $ask
          i64.extend_i32_s
          i64.add
          local.get $n
          br_if 0
          drop
          i64.const 5
        end
        i32.wrap_i64
        i32.sub)""",
    "loop with parameters": """
      (func (export "run") (param $n i32) (result i32)
        i32.const 100
        i64.const 1
        f64.const 0.5
        loop $l (param i64 f64) (result i32)
          (f64.convert_i32_s (call $ask (local.get $n)))
          f64.add
          i64.trunc_sat_f64_s
          i64.add
          f64.const 2.5
          (local.tee $n (i32.sub (local.get $n) (i32.const 1)))
          br_if $l
          drop
          i32.wrap_i64
        end
        i32.add)""",
    "loop whose parameter is not null": """
      (func (export "run") (param $n i32) (result i32) (local $f (ref $sig))
        ref.func $ask
        loop $l (param (ref $sig)) (result i32)
          local.set $f
          (global.set $g (i32.xor (global.get $g) (call_ref $sig (local.get $n) (local.get $f))))
          local.get $f
          (local.tee $n (i32.sub (local.get $n) (i32.const 1)))
          br_if $l
          (call_ref $sig (i32.const 3) (local.get $f))
          br 1
        end)
      (elem declare func $ask)""",
    "if with parameters": """
      (func (export "run") (param $n i32) (result i32)
        i32.const 40
        (call $ask (local.get $n))
        (i32.and (call $ask (i32.const 2)) (i32.const 1))
        if (param i32) (result i32)
          call $ask
        else
          i32.const 5
          i32.add
          call $ask
          call $ask
        end
        (i32.and (local.get $n) (i32.const 1))
        if (param i32) (result i32)
          call $ask
        end
        i32.add)""",
    "nested ifs": """
      (func (export "run") (param $n i32) (result i32)
        (if (call $ask (i32.const 1))
          (then
            (if (i32.and (local.get $n) (i32.const 1))
              (then (global.set $g (call $ask (call $ask (i32.const 0)))))
              (else (if (call $ask (i32.const 4)) (then (global.set $g (call $ask (global.get $g)))))))))
        global.get $g)""",
    "branch tables": """
      (func (export "run") (param $n i32) (result i32)
        block $a (result i32)
          block $b (result i32)
            block $c (result i32)
              (call $ask (i32.const 1))
              (i32.rem_u (local.get $n) (i32.const 4))
              br_table $a $b $c $a
            end
            call $ask
            i32.const 1
            i32.add
          end
          call $ask
        end)""",
    "several results": """
      (func $three (param i32) (result i32 f32 i64)
        (i32.add (local.get 0) (call $ask (local.get 0)))
        (f32.convert_i32_s (call $ask (i32.const 2)))
        (i64.extend_i32_s (call $ask (i32.const 3))))
      (func (export "run") (param $n i32) (result i32)
        i32.const 11
        local.get $n
        call $three
        i32.wrap_i64
        block (param i32 f32 i32) (result i32 f32)
          call $ask
          local.set $n
        end
        i32.trunc_sat_f32_s
        i32.add
        i32.sub
        local.get $n
        i32.xor)""",
    "operands of all number types": """
      (func (export "run") (param $n i32) (result i32)
        i32.const 1
        i64.const 0x123456789abcdef
        f32.const nan:0x200001
        f64.const -0.0
        v128.const i64x2 0x1111222233334444 0x5555666677778888
        (call $ask (local.get $n))
        i32x4.replace_lane 2
        (i32x4.splat (call $ask (i32.const 5)))
        i32x4.add
        call $hash
        i64.add
        i32.wrap_i64
        i32.add)
      (func $hash (param f32 f64 v128) (result i64)
        (i64.xor (i64.extend_i32_u (i32.reinterpret_f32 (local.get 0))) (i64.reinterpret_f64 (local.get 1)))
        (i64x2.extract_lane 0 (local.get 2))
        i64.xor
        (i64.extend_i32_s (call $ask (i32.const 1)))
        i64.xor
        (i64x2.extract_lane 1 (local.get 2))
        i64.xor)""",
    "locals of all number types": """
      (func (export "run") (param $n i32) (result i32)
        (local $i i32) (local $l i64) (local $f f32) (local $d f64) (local $v v128)
        (local.set $i (i32.const -7))
        (local.set $l (i64.const 0x123456789abcdef))
        (local.set $f (f32.const nan:0x200001))
        (local.set $d (f64.const -0.0))
        (local.set $v (v128.const i32x4 1 2 3 4))
        (global.set $g (call $ask (local.get $n)))
        (i32.xor (local.get $i) (i32.wrap_i64 (local.get $l)))
        (i32.xor (i32.reinterpret_f32 (local.get $f)) (i32x4.extract_lane 3 (local.get $v)))
        i32.xor
        (i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (local.get $d)) (i64.const 32)))
        i32.xor)""",
    "references as operands and locals": """
      (func (export "run") (param $n i32) (result i32)
        (local $e externref) (local $f funcref) (local $a anyref) (local $i i31ref) (local $s (ref $s))
        (local.set $e (call $thing (local.get $n)))
        (local.set $f (ref.func $is_null))
        (local.set $i (ref.i31 (i32.const 8)))
        (local.set $a (struct.new $s (local.get $n) (i64.const 4)))
        (local.set $s (struct.new $s (i32.const 41) (i64.const 5)))
        ref.null func
        ref.func $ask
        local.get $s
        (struct.set $s 0 (local.get $s) (call $ask (local.get $n)))
        struct.get $s 0
        (call $see (local.get $e))
        (i31.get_s (local.get $i))
        i32.add
        i32.add
        (struct.get $s 0 (ref.cast (ref $s) (local.get $a)))
        i32.add
        local.set $n
        local.set $f
        (local.get $n)
        call $ask
        local.set $n
        call $is_null
        (call $is_null (local.get $f))
        i32.sub
        local.get $n
        i32.add)
      (elem declare func $ask $is_null)""",
    "results that are not null": """
      (type $r (struct (field (ref $s)) (field (ref $sig)) (field i8)))
      (type $a (array (mut f64)))
      (func $make (param $n i32)
        (result (ref $s) (ref $sig) (ref $r) (ref $a) (ref i31) (ref extern) (ref any) (ref eq) (ref struct) (ref array)
          (ref func) (ref exn))
        (struct.new $s (call $ask (local.get $n)) (i64.const 1))
        ref.func $ask
        (struct.new $r (struct.new $s (i32.const 8) (i64.const 1)) (ref.func $ask) (i32.const 4))
        (array.new $a (f64.const 1) (i32.const 3))
        (ref.i31 (call $ask (i32.const 1)))
        (ref.as_non_null (call $thing (i32.const 3)))
        (ref.i31 (i32.const 1))
        (ref.i31 (i32.const 1))
        (struct.new $s (i32.const 8) (i64.const 1))
        (array.new $a (f64.const 1) (i32.const 3))
        ref.func $ask
        block $h (result (ref exn))
          try_table (catch_all_ref $h)
            throw $n
          end
          unreachable
        end)
      (func (export "run") (param $n i32) (result i32) (local $f (ref null $sig)) (local $x i32)
        (call $make (local.get $n))
        drop drop drop drop drop drop
        call $see
        local.set $x
        i31.get_s
        local.get $x
        i32.add
        local.set $x
        array.len
        local.get $x
        i32.add
        local.set $x
        struct.get_u $r 2
        local.get $x
        i32.add
        local.set $x
        local.set $f
        struct.get $s 0
        (call_ref $sig (local.get $x) (local.get $f))
        i32.add)
      (elem declare func $ask)""",
    "parameters that are not null": """
      (func $f (param $s (ref $s)) (param $g (ref $sig)) (param $n i32) (result i32)
        (i32.add (call_ref $sig (local.get $n) (local.get $g)) (struct.get $s 0 (local.get $s))))
      (func (export "run") (param $n i32) (result i32)
        i32.const 4
        (call $f (struct.new $s (i32.const 3) (i64.const 1)) (ref.func $ask) (local.get $n))
        i32.add)
      (elem declare func $ask)""",
    "exceptions": """
      (func $thrower (param $n i32)
        (if (i32.and (call $ask (local.get $n)) (i32.const 1))
          (then (throw $e (call $ask (i32.const 4)) (i64.const 9)))
          (else (throw $n))))
      (func (export "run") (param $n i32) (result i32) (local $x exnref)
        block $done (result i32 i64)
          block $all (result exnref)
            try_table (catch $e $done) (catch_all_ref $all)
              (call $thrower (local.get $n))
              (global.set $g (call $ask (i32.const 5)))
              unreachable
            end
            unreachable
          end
          (drop (call $ask (i32.const 6)))
          local.set $x
          (call $ask (i32.const 7))
          i64.const 10
          block $again
            try_table (catch_all $again)
              (drop (call $ask (i32.const 8)))
              (throw_ref (local.get $x))
            end
          end
        end
        i32.wrap_i64
        call $ask
        i32.add)""",
    "try_table with parameters": """
      (func (export "run") (param $n i32) (result i32)
        block $out (result i32 i64)
          (call $ask (local.get $n))
          i64.const 3
          try_table (param i32 i64) (result i32 i64) (catch $e $out)
            (i64.add (i64.extend_i32_s (call $ask (i32.const 1))))
            (br_if $out (local.get $n))
            throw $e
          end
        end
        i32.wrap_i64
        i32.add)""",
    "tail calls": """
      (table $t funcref (elem $down $ask))
      (func $down (param $n i32) (result i32)
        (if (i32.le_s (local.get $n) (i32.const 0)) (then (return_call $ask (i32.const 3))))
        (if (i32.and (local.get $n) (i32.const 1))
          (then (return_call $down (i32.sub (local.get $n) (i32.const 1)))))
        (if (i32.and (local.get $n) (i32.const 2))
          (then (return_call_indirect $t (type $sig) (i32.sub (local.get $n) (i32.const 2)) (i32.const 0))))
        (return_call_ref $sig (i32.sub (local.get $n) (i32.const 4)) (ref.func $down)))
      (func (export "run") (param $n i32) (result i32)
        (i32.add (call $down (i32.add (local.get $n) (i32.const 20))) (call $down (i32.const 3))))""",
    "calls through tables": """
      (table $fixed funcref (elem $a $b $ask))
      (table $wide i64 10 funcref)
      (elem (table $wide) (i64.const 2) func $a $b $ask)
      (func $a (param i32) (result i32) (i32.add (call $ask (local.get 0)) (i32.const 1)))
      (func $b (param i32) (result i32) (i32.mul (call $ask (local.get 0)) (i32.const 3)))
      (func (export "run") (param $n i32) (result i32)
        (call_indirect $fixed (type $sig) (local.get $n) (i32.rem_u (local.get $n) (i32.const 3)))
        (call_indirect $wide (type $sig) (local.get $n)
          (i64.extend_i32_u (i32.add (i32.const 2) (i32.rem_u (local.get $n) (i32.const 3)))))
        i32.xor)""",
    "a table that changes meanwhile": """
      (table $t 4 funcref)
      (table $typed 4 (ref null $sig))
      (elem (table $t) (i32.const 0) func $a $b)
      (elem (table $typed) (i32.const 0) (ref null $sig) (ref.func $a) (ref.func $b))
      (func $a (param i32) (result i32)
        (table.set $t (i32.const 0) (ref.func $b))
        (table.set $typed (i32.const 0) (ref.null $sig))
        (i32.add (call $ask (local.get 0)) (i32.const 1)))
      (func $b (param i32) (result i32)
        (table.set $t (i32.const 1) (ref.null func))
        (i32.mul (call $ask (local.get 0)) (i32.const 3)))
      (func (export "run") (param $n i32) (result i32)
        (table.set $t (i32.const 0) (ref.func $a))
        (table.set $typed (i32.const 0) (ref.func $a))
        (i32.const 5)
        (call_indirect $t (type $sig) (local.get $n) (i32.const 0))
        (call_indirect $t (type $sig) (local.get $n) (i32.const 0))
        (call_indirect $typed (type $sig) (local.get $n) (i32.const 1))
        i32.xor
        i32.xor
        i32.sub)""",
    "code that cannot be reached": """
      (func (export "run") (param $n i32) (result i32)
        block $b (result i32)
          (call $ask (local.get $n))
          br $b
          call $ask
          i32.add
          block (param i32) (result i64)
            call $ask
            drop
            unreachable
          end
          loop
            br 0
          end
          drop
          if (result f32)
            unreachable
          else
            (f32.const 1)
          end
          drop
          select
        end
        loop (result i32)
          (call $ask (i32.const 2))
          return
          i32.const 3
          call $ask
          drop
          br 0
        end
        i32.add)""",
    "many frames": """
      (func $deep (param $n i32) (result i32) (local $x i64)
        (local.set $x (i64.extend_i32_u (local.get $n)))
        (if (i32.eqz (local.get $n)) (then (return (call $ask (i32.const 0)))))
        (i32.add (call $deep (i32.sub (local.get $n) (i32.const 1))) (i32.wrap_i64 (local.get $x))))
      (func (export "run") (param $n i32) (result i32)
        (call $deep (i32.add (local.get $n) (i32.const 6000))))""",
}

IMPOSSIBLE = """
      (func $impossible (param $n i32) (result (ref none))
        (drop (call $ask (local.get $n)))
        unreachable)
      (func (export "run") (param $n i32) (result i32)
        (call $impossible (local.get $n))
        unreachable)"""
