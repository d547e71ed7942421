;; A core start function that uses context slots runs in a task of its own: it finds them empty, and leaves nothing in them.
;; One that uses none is called as it is.
;; meldc: --passes=link,merge,plan-tasks,emit-tasks
;; check: (start $start)
;; check: (func $start (
;; check: call $starts/start
;; check: call $starts/does-not
;; check: (func $starts/start (
;; check: global.set $context.0
;; check: call $starts/sets
;; check: global.set $context.0
(component
  (core func $set (canon context.set i32 0))
  (core module $m (import "" "set" (func $set (param i32)))
    (func $sets (call $set (i32.const 1)))
    (start $sets))
  (core instance (instantiate $m (with "" (instance (export "set" (func $set))))))
  (core module $n (func $does-not) (start $does-not) (func (export "f")))
  (core instance $n (instantiate $n))
  (func (export "f") (canon lift (core func $n "f"))))
