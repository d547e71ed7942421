;; A callee that yields once is a task; the caller, which waits for it synchronously, is one too.
;; meldc: --stop-after=plan-tasks
(component
  (component $lib
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "return" (func $return (param i32)))
      (global $x (mut i32) (i32.const 0))
      (func (export "f") (param i32) (result i32) (global.set $x (local.get 0)) (i32.const 1))
      (func (export "back") (param i32 i32 i32) (result i32)
        (call $return (i32.add (global.get $x) (i32.const 1)))
        (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "f") async (param "x" u32) (result u32)
      (canon lift (core func $i "f") async (callback (core func $i "back")))))
  (component $app
    (import "f" (func $f async (param "x" u32) (result u32)))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "run") (result i32) (call $f (i32.const 41))))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") async (result u32) (canon lift (core func $i "run"))))
  (instance $l (instantiate $lib))
  (instance $a (instantiate $app (with "f" (func $l "f"))))
  (export "run" (func $a "run")))
;; check: (@meld.planned-export "run" (how task) (call 2) (blocks "a/run → a/l/f"))
;; check: (@meld.planned task (call 1))
;; meldc: --stop-after=emit-tasks
;; check: (@meld.tasks (running $task)
;; check: (@meld.task-half return 1
;; check: (@meld.task-half start 1
;; check: (@meld.task-call
;; meldc: --passes=link,merge,detect-pairs,emit-bridge,rewire-calls,plan-tasks,handle-tables,emit-tasks,adapter-wiring,wire-entries
;; not: meld:boundary
;; check: (func $run.task
;; meldc:
;; run: run() == 42
