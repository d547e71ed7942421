;; A memory of a core module of the host cannot be a part of the one memory that a target has.
;; meldc: --emit=component --target=wasm2
;; error: memory `host-module-1/memory` is imported and cannot become a region of a single memory
(component
  (import "m" (core module $m (export "memory" (memory 1))))
  (core instance $a (instantiate $m))
  (core module $ours (import "m" "memory" (memory 1)) (memory $own 1)
    (func (export "f") (result i32)
      (i32.store $own (i32.const 0) (i32.const 1))
      (i32.add (i32.load 0 (i32.const 0)) (i32.load $own (i32.const 0)))))
  (core instance $i (instantiate $ours (with "m" (instance $a))))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
