;; With one memory there is nothing to separate.
;; meldc: --passes=link,merge,host-memory
;; remark: there is one memory at most; nothing to separate (always=true checks values all the same)
;; check: (import "$root" "log" (func $app/log
;; not: @meld.edge
(component
  (import "log" (func $log (param "s" string)))
  (component $app
    (import "log" (func $log (param "s" string)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $log (canon lower (func $log) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "log" (func $log (param i32 i32)))
      (func (export "run") (call $log (i32.const 0) (i32.const 5))))
    (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $app (instantiate $app (with "log" (func $log))))
  (export "run" (func $app "run")))
