;; Where lifting and lowering do nothing at all, the caller is wired to the callee itself; the note says so.
;; meldc: --passes=adapter-wiring
;; check: (@meld.wired (caller $a) (callee $b) (label "f") {{.*}}(how direct)
;; not: (@meld.synthetic
;; check: (func $run (@
;; next: i32.const 20
;; next: call $b/f
;; run: run() == 40
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $b/f) (type (param "x" u32) (result u32)))
    (param i32) (result i32)))
  (func $b/f (@meld.owner $b) (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
  (func $run (@meld.owner $a) (export "run") (result i32) (call $f (i32.const 20))))
