;; The module keeps the memory that most functions use. A helper module defines the other one, with its data, and exports it:
;; pooling allocators take one memory and one table in a module.
;; meldc: --emit=component
;; check: (core module $helpers/memory
;; next: (memory $helpers/memory 1)
;; next: (export "memory" (memory
;; next: (data (i32.const 8) "hello")
;; check: (core module $main
;; check: (import "meld:helper" "{{.*}}" (memory $helpers/memory {{.*}} 1))
;; check: (with "meld:helper"
(component
  (core module $light
    (memory $memory 1) (data (i32.const 8) "hello")
    (func (export "f") (result i32) (i32.load (i32.const 8))))
  (core module $heavy
    (memory 2)
    (func $load (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "g") (result i32) (i32.add (i32.load (i32.const 8)) (call $load (i32.const 12)))))
  (core instance $light (instantiate $light))
  (core instance $heavy (instantiate $heavy))
  (func (export "f") (result u32) (canon lift (core func $light "f")))
  (func (export "g") (result u32) (canon lift (core func $heavy "g"))))
