;; A function that is lowered with the module's memory needs the module, and the module needs the function. A shim stands in
;; for it, which calls through a table; the fixup fills the table when the real function is there.
;; meldc: --emit=component
;; check: (core module $shim
;; check: (core module $main
;; check: (canon lower {{.*}}(memory
;; check: (core module $fixup
(component
  (import "log" (func $log (param "text" string)))
  (core module $memory (memory (export "memory") 1) (data (i32.const 8) "hello"))
  (core instance $memory (instantiate $memory))
  (core func $log' (canon lower (func $log) (memory (core memory $memory "memory"))))
  (core module $m
    (import "" "log" (func $log (param i32 i32)))
    (func (export "run") (call $log (i32.const 8) (i32.const 5))))
  (core instance $i (instantiate $m (with "" (instance (export "log" (func $log'))))))
  (func (export "run") (canon lift (core func $i "run"))))
