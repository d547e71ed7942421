;; A memory that an export or import names, and that its type has no use for, goes, and so does the `realloc`.
;; meldc: --passes=finish{lines=false,provenance=false,signatures=false}
;; not: (memory
;; not: $realloc
;; check: (export "f" (func $f))
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type (param "x" u32) (result u32)) (lift (memory $m) (realloc $realloc)))
  (import "$root" "g" (func $g (@meld.owner $a)
    (@meld.host (instance $a) (label "g") (type (param "x" u32) (result u32)) (lower (memory $m) (realloc $realloc)))
    (param i32) (result i32)))
  (memory $m 1)
  (func $realloc (@meld.owner $a) (param i32 i32 i32 i32) (result i32) (i32.const 64))
  (func $f (@meld.owner $a) (export "f") (param i32) (result i32) (call $g (local.get 0))))
