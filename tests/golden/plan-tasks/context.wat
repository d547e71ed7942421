;; A callee whose code reaches `context.get` or `context.set` has context slots of its own, and the note says so.
;; meldc: --passes=plan-tasks
;; check: (import "meld:boundary" "a->b/f" {{.*}}(@meld.planned direct (context))
;; check: (import "meld:boundary" "a->b/plain" {{.*}}(@meld.planned direct)
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:canon" "context.set" (func $set (@meld.owner $b) (@meld.canon context.set (instance $b) (slot 0)) (param i32)))
  (import "meld:boundary" "a->b/f" (func $f (@meld.boundary (caller $a) (callee $b) (label "f") (target $b/f) (type))))
  (import "meld:boundary" "a->b/plain" (func $plain
    (@meld.boundary (caller $a) (callee $b) (label "plain") (target $b/plain) (type))))
  (func $b/f (@meld.owner $b) (call $set (i32.const 1)))
  (func $b/plain (@meld.owner $b))
  (func $run (@meld.owner $a) (export "run") (call $f) (call $plain)))
