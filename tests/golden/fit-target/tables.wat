;; Tables that nobody writes become one; an index beyond its own table traps as it did.
;; meldc: --passes=fit-target{target=lime1}
;; check: (table $table (@meld.synthetic target) 3 3 funcref)
;; check: i32.const -1
;; check: i32.lt_u
;; next: select
;; run: first(0) == 1
;; run: first(1) traps
;; run: second(1) == 2
;; run: second(2) traps
(module
  (@meld.facts linked merged)
  (type $t (func (result i32)))
  (table $a 1 funcref)
  (table $b 2 funcref)
  (elem (table $a) (i32.const 0) func $one)
  (elem (table $b) (i32.const 1) func $two)
  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func (export "first") (param i32) (result i32) (call_indirect $a (type $t) (local.get 0)))
  (func (export "second") (param i32) (result i32) (call_indirect $b (type $t) (local.get 0))))
