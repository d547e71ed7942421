;; A list is copied into memory that the callee's `realloc` gives; here all of it at once, since bytes need no check.
;; meldc: --passes=adapter-wiring
;; check: func $a/sum.adapter
;; check: call $b/realloc
;; check: memory.copy $b/memory $a/memory
;; run: sum() == 6
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/sum" (func $sum (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $b) (label "sum") (target $b/sum) (type (param "x" (list u8)) (result u32))
      (lower (memory $a/memory)) (lift (memory $b/memory) (realloc $b/realloc)))
    (param i32 i32) (result i32)))
  (memory $a/memory 1)
  (memory $b/memory 1)
  (data (memory $a/memory) (i32.const 8) "\01\02\03")
  (func $b/realloc (@meld.owner $b) (param i32 i32 i32 i32) (result i32) (i32.const 64))
  (func $b/sum (@meld.owner $b) (param $at i32) (param $count i32) (result i32) (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load8_u $b/memory (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $sum))
  (func $run (@meld.owner $a) (export "sum") (result i32) (call $sum (i32.const 8) (i32.const 3))))
