;; A string is copied from one memory to the other; where it does not lie in memory, the caller traps.
;; meldc: {} ../inputs/math.wat
(component $user
  (import "length" (func $length (param "text" string) (result u32)))
  (core module $memory (memory (export "memory") 1) (data (i32.const 8) "hello"))
  (core instance $memory (instantiate $memory))
  (core func $lowered (canon lower (func $length) (memory (core memory $memory "memory"))))
  (core module $m
    (import "math" "length" (func $length (param i32 i32) (result i32)))
    (func (export "hello") (result i32) (call $length (i32.const 8) (i32.const 5)))
    (func (export "beyond") (result i32) (call $length (i32.const 65535) (i32.const 2))))
  (core instance $i (instantiate $m (with "math" (instance (export "length" (func $lowered))))))
  (func (export "hello") (result u32) (canon lift (core func $i "hello")))
  (func (export "beyond") (result u32) (canon lift (core func $i "beyond"))))
;; check: (how adapter)
;; run: hello() == 5
;; run: beyond() traps
