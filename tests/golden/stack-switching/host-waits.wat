;; A task that waits for the host leaves its stack: the call is a leaf, and the callback of the export waits.
;; meldc: --emit=component --passes=default,stack-switching{pool=1}
;; check: (func $host_awaited.leaves
;; check: suspend $leave
(component
  (import "h" (func $h async (result u32)))
  (component $c
    (import "h" (func $h async (result u32)))
    (core func $h (canon lower (func $h)))
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "h" (func $h (result i32)))
      (import "" "return" (func $return (param i32)))
      (func (export "run") (call $return (call $h))))
    (core instance $m (instantiate $m (with "" (instance (export "h" (func $h)) (export "return" (func $return))))))
    (func (export "run") async (result u32) (canon lift (core func $m "run") async)))
  (instance $c (instantiate $c (with "h" (func $h))))
  (export "run" (func $c "run")))
