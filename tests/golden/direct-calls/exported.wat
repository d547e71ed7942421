;; What is exported the host may write to.
;; meldc: --passes=direct-calls
;; check: (func $run
;; check: call_indirect
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (table $t (export "table") 1 funcref)
  (elem (table $t) (i32.const 0) func $f)
  (func $f (@meld.owner $a) (result i32) (i32.const 7))
  (func $run (@meld.owner $a) (export "run") (result i32) (call_indirect $t (result i32) (i32.const 0))))
