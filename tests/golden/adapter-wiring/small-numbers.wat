;; A u8 is 8 bits of an i32: what the caller leaves above them never reaches the callee.
;; meldc: --passes=adapter-wiring
;; check: (@meld.wired {{.*}}(how adapter) (reason "values are checked or converted: u8"))
;; run: run(255) == 255
;; run: run(256) == 0
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $b/f) (type (param "x" u8) (result u8)))
    (param i32) (result i32)))
  (func $b/f (@meld.owner $b) (param i32) (result i32) (local.get 0))
  (func $run (@meld.owner $a) (export "run") (param i32) (result i32) (call $f (local.get 0))))
