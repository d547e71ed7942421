;; A `realloc` that the host calls begins with empty context slots; what it leaves in them is discarded.
;; meldc: --stop-after=emit-tasks
;; check: (@meld.export "run" {{.*}}(realloc $realloc.0)
;; meldc:
;; run: run("hi") == 5
(component
  (core func $get (canon context.get i32 0))
  (core func $set (canon context.set i32 0))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (import "" "set" (func $set (param i32)))
    (memory (export "memory") 1)
    (func $empty (if (call $get) (then (unreachable))))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call $empty)
      (call $set (i32.const 100))
      (i32.const 200))
    (func (export "run") (param i32 i32) (result i32) (call $empty) (i32.const 5)))
  (core instance $m (instantiate $m (with "" (instance (export "get" (func $get)) (export "set" (func $set))))))
  (func (export "run") (param "x" string) (result u32)
    (canon lift (core func $m "run") (realloc (core func $m "realloc")) (memory (core memory $m "memory")))))
