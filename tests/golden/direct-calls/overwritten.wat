;; Segments are written in their order: the last one counts.
;; meldc: --passes=direct-calls
;; check: (func $run
;; check: call $second
;; check: (func $cleared
;; check: call_indirect
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (table $t 2 funcref)
  (elem (table $t) (i32.const 0) func $first $first)
  (elem (table $t) (i32.const 0) funcref (item (ref.func $second)) (item (ref.null func)))
  (func $first (@meld.owner $a) (result i32) (i32.const 1))
  (func $second (@meld.owner $a) (result i32) (i32.const 2))
  (func $run (@meld.owner $a) (export "run") (result i32) (call_indirect $t (result i32) (i32.const 0)))
  (func $cleared (@meld.owner $a) (export "cleared") (result i32) (call_indirect $t (result i32) (i32.const 1))))
