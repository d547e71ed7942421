;; What initialises a global takes the place of the global in constant expressions: reading one that the module defines is
;; beyond WebAssembly 2.0, reading an imported one is not.
;; meldc: --stop-after=merge
;; check: (global $constants/p {{.*}} (mut i32) i32.const 16)
;; not: global.get
;; check: (data {{.*}} (i32.const 16) "\07")
;; run: f() == 7
(component
  (core module $main (memory (export "memory") 1) (global (export "base") i32 (i32.const 16)))
  (core instance $main (instantiate $main))
  (core module $lib
    (import "env" "memory" (memory 1))
    (import "env" "base" (global $b i32))
    (global $p (mut i32) (global.get $b))
    (data (global.get $b) "\07")
    (func (export "f") (result i32) (i32.load (i32.const 16))))
  (core instance $lib (instantiate $lib (with "env" (instance $main))))
  (func (export "f") (result u32) (canon lift (core func $lib "f"))))
