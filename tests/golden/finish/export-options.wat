;; The memory and the `realloc` that the host needs to lift an export are exported, by their conventional names.
;; meldc: --passes=finish
;; check: (export "f" (func $f))
;; check: (export "memory" (memory $m))
;; check: (export "cabi_realloc" (func $realloc))
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type (param "s" string)) (lift (memory $m) (realloc $realloc)))
  (memory $m 1)
  (func $realloc (@meld.owner $a) (param i32 i32 i32 i32) (result i32) (i32.const 64))
  (func $f (@meld.owner $a) (export "f") (param i32 i32)))
