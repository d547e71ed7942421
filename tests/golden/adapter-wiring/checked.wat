;; A char is checked on its way: a surrogate is none, and the caller traps. The reason for the adapter stands in the note.
;; meldc: --passes=adapter-wiring
;; check: (@meld.wired {{.*}}(how adapter) (reason "values are checked or converted: char"))
;; check: call $a/f.adapter
;; check: (func $a/f.adapter (@meld.synthetic adapter)
;; run: run(65) == 65
;; run: run(0xd800) traps
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $b/f) (type (param "c" char) (result char)))
    (param i32) (result i32)))
  (func $b/f (@meld.owner $b) (param i32) (result i32) (local.get 0))
  (func $run (@meld.owner $a) (export "run") (param i32) (result i32) (call $f (local.get 0))))
