;; A limit on the shift, and a limit on the rewrites.
;; meldc: --plugin=../meld_mul_to_shift/__init__.py --passes=mul-to-shift{largest=3}
;; check: i32.shl
;; check: i32.mul
;; run: f(1) == 24
;; meldc: --plugin=../meld_mul_to_shift/__init__.py --passes=mul-to-shift --fuel=mul-to-shift:1
;; check: i32.shl
;; check: i32.mul
;; run: f(1) == 24
;; meldc: --plugin=../meld_mul_to_shift/__init__.py --passes=mul-to-shift{largest=many}
;; error: option `largest` takes an integer, not `many`
;; meldc: --plugin=../meld_mul_to_shift/__init__.py --passes=mul-to-shift
;; not: i32.mul
;; run: f(1) == 24
;; run: f(-3) == -72
;; run: highest(3) == -2147483648
(module
  (@meld.facts linked merged)
  (func $f (export "f") (param i32) (result i32)
    (i32.add
      (i32.mul (local.get 0) (i32.const 8))
      (i32.mul (local.get 0) (i32.const 16))))
  (func $highest (export "highest") (param i32) (result i32)
    (i32.mul (local.get 0) (i32.const 0x80000000))))
