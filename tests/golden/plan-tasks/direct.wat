;; A function of asynchronous type that is lifted and lowered synchronously, and cannot block, is called directly.
;; meldc: --passes=plan-tasks
;; check: (@meld.planned-export "run" (how direct))
;; check: (import "meld:boundary" "a->b/f" {{.*}}(@meld.planned direct)
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.export "run" (instance $a) (target $run) (type async))
  (import "meld:boundary" "a->b/f" (func $f (@meld.boundary (caller $a) (callee $b) (label "f") (target $g) (type async))))
  (func $g (@meld.owner $b))
  (func $run (@meld.owner $a) (export "run") (call $f)))
