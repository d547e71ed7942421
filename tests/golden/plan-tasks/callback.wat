;; A callee that is lifted with a callback may go on later, so calls of it are tasks, numbered from 1.
;; meldc: --passes=plan-tasks
;; check: (import "meld:boundary" "a->b/f" {{.*}}(@meld.planned task (call 1))
;; check: (import "meld:boundary" "a->b/g" {{.*}}(@meld.planned task (call 2))
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $b/f) (type async) (lift async (callback $back)))))
  (import "meld:boundary" "a->b/g" (func $g
    (@meld.boundary (caller $a) (callee $b) (label "g") (target $b/f) (type async) (lift async (callback $back)))))
  (func $b/f (@meld.owner $b) (result i32) (i32.const 0))
  (func $back (@meld.owner $b) (param i32 i32 i32) (result i32) (i32.const 0))
  (func $run (@meld.owner $a) (export "run") (call $f) (call $g)))
