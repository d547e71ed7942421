;; A generated function with several results leaves all but the first in globals; `lime1` has them.
;; meldc: --passes=fit-target{target=wasm1}
;; not: (result i32 i32)
;; check: (global $result.1.i32
;; check: global.set $result.1.i32
;; check: global.get $result.1.i32
;; run: f(7) == 10
(module
  (@meld.facts linked merged)
  (func $both (@meld.synthetic adapter) (param i32) (result i32 i32) (local.get 0) (i32.const 3))
  (func (export "f") (param i32) (result i32) (call $both (local.get 0)) (i32.add)))
