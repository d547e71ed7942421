;; Generated code copies and fills by loops where the target has no bulk memory.
;; meldc: --passes=fit-target{target=wasm1}
;; check: (func $move
;; check: call $memory.copy
;; check: call $memory.fill
;; run: moved(5) == 5
;; run: moved(65529) traps
(module
  (@meld.facts linked merged)
  (memory $memory 1 1)
  (data (memory $memory) (i32.const 0) "\01\02\03\04\05")
  (func $move (@meld.synthetic adapter) (param $bytes i32)
    (memory.copy $memory $memory (i32.const 8) (i32.const 0) (local.get $bytes))
    (memory.fill $memory (i32.const 0) (i32.const 255) (i32.const 3)))
  (func (export "moved") (param $bytes i32) (result i32)
    (call $move (local.get $bytes))
    (i32.load8_u $memory (i32.const 12))))
