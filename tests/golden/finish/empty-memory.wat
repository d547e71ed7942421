;; A memory without pages that nobody can grow goes; accesses trap as they did, out of bounds, and bulks of nothing do nothing.
;; meldc: --passes=finish
;; check: (memory $m 1)
;; not: (memory $e
;; run: load(0) traps: out of bounds memory access
;; run: size() == 0
;; run: fill(0, 0) == ()
;; run: fill(0, 1) traps: out of bounds memory access
;; run: fill(1, 0) traps: out of bounds memory access
;; run: take(65536, 0) == ()
;; run: take(65537, 0) traps: out of bounds memory access
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (memory $m 1)
  (memory $e 0)
  (func $store (@meld.owner $a) (export "store") (param i32) (i64.store $e (local.get 0) (i64.const 1)))
  (func $load (@meld.owner $a) (export "load") (param i32) (result f64) (f64.load $e offset=8 (local.get 0)))
  (func $keep (@meld.owner $a) (export "keep") (result i32) (i32.load $m (i32.const 0)))
  (func $size (@meld.owner $a) (export "size") (result i32) (memory.size $e))
  (func $fill (@meld.owner $a) (export "fill") (param i32 i32)
    (memory.fill $e (local.get 0) (i32.const 7) (local.get 1)))
  (func $take (@meld.owner $a) (export "take") (param i32 i32)
    (memory.copy $m $e (local.get 0) (i32.const 0) (local.get 1))))
