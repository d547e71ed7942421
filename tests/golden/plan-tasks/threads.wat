;; Each call of an instance that makes threads is a task, of synchronous type too: a thread may run after the callee.
;; meldc: --passes=plan-tasks
;; check: (@meld.planned-export "f" (how task) (call 2) (blocks "f → a thread"))
;; check: (@meld.planned-export "run" (how direct))
;; check: (import "meld:boundary" "a->b/f" {{.*}}(@meld.planned task (call 1) (blocks "f → a thread"))
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.export "f" (instance $b) (target $f) (type))
  (@meld.export "run" (instance $a) (target $run) (type))
  (import "meld:canon" "thread.new-indirect" (func $new (@meld.owner $b)
    (@meld.canon thread.new-indirect (instance $b) (table $t)) (param i32 i32) (result i32)))
  (import "meld:boundary" "a->b/f" (func $g (@meld.boundary (caller $a) (callee $b) (label "f") (target $f) (type))))
  (table $t 1 funcref)
  (func $f (@meld.owner $b) (drop (call $new (i32.const 0) (i32.const 0))))
  (func $run (@meld.owner $a) (export "run") (call $g)))
