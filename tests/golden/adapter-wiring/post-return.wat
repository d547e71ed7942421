;; The adapter calls the callee's `post-return` with the flat result, once it has been carried over.
;; meldc: --passes=adapter-wiring
;; check: (@meld.wired {{.*}}(reason "the callee has a post-return function"))
;; check: (func $a/f.adapter
;; check: call $b/f
;; check: call $b/post
;; run: run() == 7, 7
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $b/f) (type (result u32)) (lift (post-return $b/post)))
    (result i32)))
  (global $freed (mut i32) (i32.const 0))
  (func $b/f (@meld.owner $b) (result i32) (i32.const 7))
  (func $b/post (@meld.owner $b) (param i32) (global.set $freed (local.get 0)))
  (func $run (@meld.owner $a) (export "run") (result i32 i32) (call $f) (global.get $freed)))
