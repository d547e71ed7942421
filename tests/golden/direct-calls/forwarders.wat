;; Functions that only pass their parameters on, in order, are skipped, also several in a row; one that swaps them is not.
;; meldc: --passes=direct-calls
;; check: (func $run
;; check: call $sub
;; check: call $swapped
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (type $binary (func (param i32 i32) (result i32)))
  (table $t 2 funcref)
  (elem (table $t) (i32.const 0) func $sub $once)
  (func $sub (@meld.owner $a) (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
  (func $once (@meld.owner $a) (param i32 i32) (result i32)
    (call_indirect $t (type $binary) (local.get 0) (local.get 1) (i32.const 0)))
  (func $twice (@meld.owner $a) (param i32 i32) (result i32)
    (return_call_indirect $t (type $binary) (local.get 0) (local.get 1) (i32.const 1)))
  (func $swapped (@meld.owner $a) (param i32 i32) (result i32)
    (call_indirect $t (type $binary) (local.get 1) (local.get 0) (i32.const 0)))
  (func $run (@meld.owner $a) (export "run") (param i32 i32) (result i32)
    (call $swapped (call $twice (local.get 0) (local.get 1)) (i32.const 1))))
