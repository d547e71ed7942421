;; A pointer behind the end of the instance's memory traps before the host is called, also where another region lies behind
;; it in a single memory.
;; meldc: --passes=link,merge,host-memory,adapter-wiring,lower-multi-memory,finish
;; check: (memory $memory
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
      (memory 1)
      (func (export "run") (call $log (i32.const 65536) (i32.const 5))))
    (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $app (instantiate $app (with "log" (func $log))))
  (export "run" (func $app "run")))
