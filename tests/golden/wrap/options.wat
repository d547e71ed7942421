;; An export is lifted with the options that its component had: memory, `realloc`, `post-return`.
;; meldc: --emit=component
;; check: (canon lift {{.*}}(memory {{.*}}(realloc {{.*}}(post-return
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "post") (param i32))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "echo") (param "s" string) (result string) (canon lift (core func $i "echo")
    (memory (core memory $i "memory")) (realloc (core func $i "realloc")) (post-return (core func $i "post")))))
