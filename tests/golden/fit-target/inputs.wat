;; What an input needs is kept, and said by name.
;; meldc: --passes=fit-target{target=wasm1}
;; check: memory.copy
;; check: i32.extend8_s
;; remark: needs more than `wasm1` has: `bulk-memory-opt` by `app` (memory.copy); `sign-extension` by `app` (i32.extend8_s)
(module
  (@meld.facts linked merged)
  (@meld.instance $app)
  (memory $memory 1 1)
  (func $f (@meld.origin $app 0) (export "f") (param i32) (result i32)
    (memory.copy $memory $memory (i32.const 0) (i32.const 8) (i32.const 8))
    (i32.extend8_s (local.get 0))))
