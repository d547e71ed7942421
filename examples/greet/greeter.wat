;; Greets: greet("Ann") is "hello, Ann".
(component $greeter
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 0) "hello, ")
    (global $free (mut i32) (i32.const 1024))
    ;; never frees, but starts again after a call
    (func $realloc (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $new)))
      (memory.copy (local.get $at) (local.get $old)
        (select (local.get $size) (local.get $new) (i32.lt_u (local.get $size) (local.get $new))))
      (local.get $at))
    (func (export "greet") (param $name i32) (param $length i32) (result i32)
      (local $at i32)
      (local.set $at
        (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (local.get $length) (i32.const 7))))
      (memory.copy (local.get $at) (i32.const 0) (i32.const 7))
      (memory.copy (i32.add (local.get $at) (i32.const 7)) (local.get $name) (local.get $length))
      (i32.store (i32.const 16) (local.get $at))
      (i32.store (i32.const 20) (i32.add (local.get $length) (i32.const 7)))
      (i32.const 16))
    (func (export "done") (param i32) (global.set $free (i32.const 1024))))
  (core instance $i (instantiate $m))
  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $i "greet")
      (memory (core memory $i "memory"))
      (realloc (core func $i "realloc"))
      (post-return (core func $i "done")))))
