;; Lowered asynchronously, but the callee has nothing to block on: the call is over when it returns, so no task is needed.
;; meldc: --passes=plan-tasks
;; check: (import "meld:boundary" "a->b/f" {{.*}}(@meld.planned prompt)
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $g) (type async) (lower async)) (result i32)))
  (func $g (@meld.owner $b))
  (func $run (@meld.owner $a) (export "run") (result i32) (call $f)))
