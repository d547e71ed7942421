;; Nothing is said about a program in which nothing is asynchronous.
;; meldc: --passes=plan-tasks
;; not: (@meld.planned
;; check: (import "meld:boundary" "a->b/f"
;; not: (@meld.planned
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f (@meld.boundary (caller $a) (callee $b) (label "f") (target $g) (type))))
  (func $g (@meld.owner $b))
  (func $run (@meld.owner $a) (export "run") (call $f)))
