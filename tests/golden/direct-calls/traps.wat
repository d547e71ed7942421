;; A call of a null reference, out of bounds, or through another type traps: it stays. So does one whose index is computed.
;; meldc: --passes=direct-calls
;; check: (func $null
;; check: call_indirect
;; check: (func $outside
;; check: call_indirect
;; check: (func $type
;; check: call_indirect
;; check: (func $computed
;; check: call_indirect
;; check: (func $known
;; not: call_indirect
;; check: call $f
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (table $t 2 funcref)
  (elem (table $t) (i32.const 1) func $f)
  (func $f (@meld.owner $a) (result i32) (i32.const 7))
  (func $null (@meld.owner $a) (export "null") (result i32) (call_indirect $t (result i32) (i32.const 0)))
  (func $outside (@meld.owner $a) (export "outside") (result i32) (call_indirect $t (result i32) (i32.const 2)))
  (func $type (@meld.owner $a) (export "type") (result i64) (call_indirect $t (result i64) (i32.const 1)))
  (func $computed (@meld.owner $a) (export "computed") (param i32) (result i32)
    (call_indirect $t (result i32) (local.get 0)))
  (func $known (@meld.owner $a) (export "known") (result i32) (call_indirect $t (result i32) (i32.const 1))))
