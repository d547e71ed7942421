;; A character is checked inside the module, too, so that nothing that an instance passes makes the host trap.
;; meldc: --passes=link,merge,host-memory,adapter-wiring
;; check: (import "$root" "log" (func $log.outer
;; check: (func $app/log.edge
;; check: i32.const 55296
(component
  (import "log" (func $log (param "c" char)))
  (component $app
    (import "log" (func $log (param "c" char)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $log (canon lower (func $log)))
    (core module $m
      (import "" "log" (func $log (param i32)))
      (memory 1)
      (func (export "run") (call $log (i32.const 5))))
    (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $app (instantiate $app (with "log" (func $log))))
  (export "run" (func $app "run")))
