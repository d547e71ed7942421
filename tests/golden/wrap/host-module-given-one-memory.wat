;; A memory that a core module of the host is given cannot be a part of the one memory that a target has.
;; meldc: --emit=component --target=wasm2
;; error: memory `host-module-given-one-memory/memory` is given to a core module that the host provides and cannot become a region of a single memory
(component
  (import "m" (core module $m (import "p" "memory" (memory 1))))
  (core module $ours (memory (export "memory") 1) (memory $own 1)
    (func (export "f") (result i32)
      (i32.store $own (i32.const 0) (i32.const 1))
      (i32.add (i32.load 0 (i32.const 0)) (i32.load $own (i32.const 0)))))
  (core instance $i (instantiate $ours))
  (core instance (instantiate $m (with "p" (instance $i))))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
