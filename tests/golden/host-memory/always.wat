;; A program of one memory has its values checked in the module too if that is asked for.
;; meldc: --passes=link,merge,host-memory{always=true},adapter-wiring
;; check: (import "$root" "log" (func $log.outer
;; check: call $"string content out-of-bounds"
;; run: run() traps
(component
  (import "log" (func $log (param "s" string)))
  (component $app
    (import "log" (func $log (param "s" string)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $log (canon lower (func $log) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "log" (func $log (param i32 i32)))
      (func (export "run") (call $log (i32.const 65530) (i32.const 7))))
    (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $app (instantiate $app (with "log" (func $log))))
  (export "run" (func $app "run")))
