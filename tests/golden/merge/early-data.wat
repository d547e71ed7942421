;; Data of an instance that is made after a start function has run stay active where nothing can tell the difference: they
;; cannot trap, and no code has reached the memory. What lies behind the end of a memory is written by the start wrapper.
;; meldc: --stop-after=merge
;; check: call $early-data/start
;; next: i32.const 65535
;; check: memory.init 1 1
;; check: (data {{.*}} (i32.const 0) "abcd")
;; check: (data {{.*}}) "zz")
;; run: f() traps: out of bounds memory access
(component
  (core module $early (func $start) (start $start))
  (core module $late (memory 1) (data (i32.const 0) "abcd") (func (export "f") (result i32) (i32.load (i32.const 0))))
  (core module $bad (memory 1) (data (i32.const 65535) "zz"))
  (core instance (instantiate $early))
  (core instance $late (instantiate $late))
  (core instance (instantiate $bad))
  (func (export "f") (result u32) (canon lift (core func $late "f"))))
