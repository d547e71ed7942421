;; Exports `double: func(x: s32) -> s32` and `length: func(text: string) -> u32`.
(component $math
  (core module $m
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 64))
    (func (export "realloc") (param i32 i32 i32) (param $new i32) (result i32)
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (local.get $new))))
    (func (export "double") (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
    (func (export "length") (param i32) (param $length i32) (result i32) (local.get $length)))
  (core instance $i (instantiate $m))
  (func (export "double") (param "x" s32) (result s32) (canon lift (core func $i "double")))
  (func (export "length") (param "text" string) (result u32)
    (canon lift (core func $i "length") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
