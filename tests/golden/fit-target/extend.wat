;; Sign extension by shifts.
;; meldc: --passes=fit-target{target=wasm1}
;; not: extend8_s
;; check: i32.const 24
;; run: f(200) == -56
;; run: f(100) == 100
(module
  (@meld.facts linked merged)
  (func $g (@meld.synthetic adapter) (param i32) (result i32) (i32.extend8_s (local.get 0)))
  (func (export "f") (param i32) (result i32) (call $g (local.get 0))))
