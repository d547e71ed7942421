;; `lower-multi-memory` brings the pass; it is put before the pass that makes adapters of its edges.
;; meldc: --passes=adapter-wiring,lower-multi-memory,finish
;; remark: `lower-multi-memory` brings `host-memory`, before `adapter-wiring`
;; check: (import "$root" "log" (func $log.outer
;; check: (export "memory" (memory $memory))
;; check: (export "cabi_realloc" (func $state.arena_realloc))
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
      (func (export "run") (call $log (i32.const 0) (i32.const 5))))
    (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $app (instantiate $app (with "log" (func $log))))
  (export "run" (func $app "run")))
