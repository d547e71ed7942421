;; A table that code writes to holds what nobody knows.
;; meldc: --passes=direct-calls
;; check: (func $run
;; check: call_indirect
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (table $t 1 funcref)
  (elem (table $t) (i32.const 0) func $f)
  (func $f (@meld.owner $a) (result i32) (i32.const 7))
  (func $clear (@meld.owner $a) (export "clear") (table.set $t (i32.const 0) (ref.null func)))
  (func $run (@meld.owner $a) (export "run") (result i32) (call_indirect $t (result i32) (i32.const 0))))
