;; Nothing of the module runs between two calls of the host, so the context slots are emptied when a call is over.
;; meldc: --stop-after=wire-entries
;; check: (export "run" (func $run.task))
;; check: (func $run.task
;; check: call $context/run
;; check: i32.const 0
;; next: global.set
(component
  (core func $get (canon context.get i32 0))
  (core func $set (canon context.set i32 0))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (import "" "set" (func $set (param i32)))
    (func (export "run") (result i32)
      (call $set (i32.add (call $get) (i32.const 1)))
      (call $get)))
  (core instance $i (instantiate $m (with "" (instance (export "get" (func $get)) (export "set" (func $set))))))
  (func (export "run") (result u32) (canon lift (core func $i "run"))))
