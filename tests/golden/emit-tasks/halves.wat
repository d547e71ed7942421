;; A call that is a task is cut in two: a half that copies the parameters when the task starts, and one that copies the
;; result when it returns. Both are imports that adapter-wiring writes.
;; meldc: --passes=plan-tasks,handle-tables,emit-tasks
;; check: (@meld.tasks
;; check: (import {{.*}}(@meld.task-half return 1 (caller $a) (callee $b) (label "f")
;; check: (import {{.*}}(@meld.task-half start 1 (caller $a) (callee $b) (label "f")
;; check: (func {{.*}}(@meld.task-call (caller $a) (callee $b) (label "f")
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:canon" "task.return" (func $return (@meld.owner $b) (@meld.canon task.return (instance $b) (type u32)) (param i32)))
  (import "meld:boundary" "a->b/f" (func $f (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $b/f) (type async (param "x" u32) (result u32))
      (lift async (callback $back))) (param i32) (result i32)))
  (func $b/f (@meld.owner $b) (param i32) (result i32) (call $return (local.get 0)) (i32.const 0))
  (func $back (@meld.owner $b) (param i32 i32 i32) (result i32) (i32.const 0))
  (func $run (@meld.owner $a) (export "run") (result i32) (call $f (i32.const 1))))
