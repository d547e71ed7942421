;; Numbers need no memory and no check: the call stays as it is.
;; meldc: --passes=link,merge,host-memory
;; check: (import "$root" "log" (func $app/log
;; not: @meld.edge
(component
  (import "log" (func $log (param "n" u32)))
  (component $app
    (import "log" (func $log (param "n" u32)))
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
