;; An exported function that runs as a task becomes a plain function: it begins the task, and returns when it has the
;; result.
;; meldc: --stop-after=wire-entries
;; check: (@meld.export "run" (instance $task) (target $run.task)
;; check: (export "run" (func $run.task))
;; check: (func $run.task
;; run: run(41) == 42
(component
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "return" (func $return (param i32)))
    (global $x (mut i32) (i32.const 0))
    (func (export "run") (param i32) (result i32) (global.set $x (local.get 0)) (i32.const 1))
    (func (export "back") (param i32 i32 i32) (result i32)
      (call $return (i32.add (global.get $x) (i32.const 1)))
      (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "run") async (param "x" u32) (result u32)
    (canon lift (core func $i "run") async (callback (core func $i "back")))))
