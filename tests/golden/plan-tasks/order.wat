;; Calls are planned while they are boundaries. After adapter-wiring has replaced them, an asynchronous one could not be
;; planned any more, so adapter-wiring refuses it.
;; meldc: --passes=adapter-wiring,plan-tasks
;; error: call of `f` from `a` into `b`: nothing says how this asynchronous call is made: (func async)
;; hint: run plan-tasks before adapter-wiring
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f (@meld.boundary (caller $a) (callee $b) (label "f") (target $g) (type async))))
  (func $g (@meld.owner $b))
  (func $run (@meld.owner $a) (export "run") (call $f)))
