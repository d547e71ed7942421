;; Backpressure is a counter of the instance: below 0 it traps.
;; meldc: --passes=plan-tasks,emit-tasks
;; not: (import
;; check: {{^  }}(func $inc (@{{.*}}(@meld.canon backpressure.inc
;; run: up-down() == ()
;; run: down() traps
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (import "meld:canon" "backpressure.inc" (func $inc (@meld.owner $a) (@meld.canon backpressure.inc (instance $a))))
  (import "meld:canon" "backpressure.dec" (func $dec (@meld.owner $a) (@meld.canon backpressure.dec (instance $a))))
  (func (@meld.owner $a) (export "up-down") (call $inc) (call $dec))
  (func (@meld.owner $a) (export "down") (call $dec)))
