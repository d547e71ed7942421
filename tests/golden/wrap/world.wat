;; The product as a component has the world of the composition again: what is fed inside is no import any more.
;; meldc: {} ../inputs/math.wat --emit=component
(component $user
  (import "length" (func $length (param "text" string) (result u32)))
  (import "log" (func $log (param "value" u32)))
  (core module $memory (memory (export "memory") 1) (data (i32.const 8) "hello"))
  (core instance $memory (instantiate $memory))
  (core func $length' (canon lower (func $length) (memory (core memory $memory "memory"))))
  (core func $log' (canon lower (func $log)))
  (core module $m
    (import "" "length" (func $length (param i32 i32) (result i32)))
    (import "" "log" (func $log (param i32)))
    (func (export "run") (call $log (call $length (i32.const 8) (i32.const 5)))))
  (core instance $i (instantiate $m
    (with "" (instance (export "length" (func $length')) (export "log" (func $log'))))))
  (func (export "run") (canon lift (core func $i "run"))))
;; check: (component
;; not: "length"
;; check: (import "log" (func
;; not: (import "length"
;; check: (export "run"
