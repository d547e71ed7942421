;; Types of equal structure are one, and so are imports of one name and type.
;; meldc: --passes=finish
;; check: (func (param i32)))
;; not: (type
;; check: (import "host" "log" (func $log
;; not: (import
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (type $t (func (param i32)))
  (type $u (func (param i32)))
  (import "host" "log" (func $a/log (@meld.owner $a) (type $t)))
  (import "host" "log" (func $b/log (@meld.owner $b) (type $u)))
  (func (@meld.owner $a) (export "a") (type $t) (call $a/log (local.get 0)))
  (func (@meld.owner $b) (export "b") (type $u) (call $b/log (local.get 0))))
