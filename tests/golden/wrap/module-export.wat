;; A core module that is exported stays as it is, beside the fused one, also where that has instances of it.
;; meldc: {} --emit=component
(component
  (core module $m (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (instance $x (export "again" (core module $m)))
  (export "m" (core module $m))
  (export "x" (instance $x))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
;; count: 2 (core module
;; check: (core module $main
;; check: (core module (;1;)
;; check: (export (;2;) "m" (core module 1) (core module (type 0)))
;; check: (export (;1;) "again" (core module 0))
;; check: (export (;1;) "x" (instance
