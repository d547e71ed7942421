;; The host calls `realloc` and `post-return`, too; each has a guard of its own.
;; meldc: --passes=guard-entries
;; check: (@meld.export "f" {{.*}}(target $f.entry){{.*}}(realloc $realloc.entry) (post-return $cabi_post_f.entry)
(module
  (@meld.facts linked merged wired)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type (param "s" string) (result u32))
    (lift (memory $m) (realloc $realloc) (post-return $post)))
  (memory $m 1)
  (func $realloc (@meld.owner $a) (param i32 i32 i32 i32) (result i32) (i32.const 64))
  (func $post (@meld.owner $a) (param i32))
  (func $f (@meld.owner $a) (export "f") (param i32 i32) (result i32) (local.get 1)))
