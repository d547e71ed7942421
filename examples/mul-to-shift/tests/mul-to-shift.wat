;; Multiplications by powers of two become shifts; others stay.
;; meldc: --plugin=../meld_mul_to_shift/__init__.py --passes=mul-to-shift
;; check: (func $times-8 (type
;; check: i32.const 3
;; next: i32.shl
;; check: (func $times-6 (type
;; check: i32.mul
;; run: times-8(5) == 40
;; run: times-8(-5) == -40
;; run: times-8(536870912) == 0
;; run: times-6(5) == 30
(module
  (@meld.facts linked merged)
  (func $times-8 (export "times-8") (param i32) (result i32)
    (i32.mul (local.get 0) (i32.const 8)))
  (func $times-6 (export "times-6") (param i32) (result i32)
    (i32.mul (local.get 0) (i32.const 6))))
