;; Core modules of the host are instantiated in front of the fused module, which imports what they export.
;; meldc: {} --emit=component
(component
  (import "a" (core module $a (export "f" (func (result i32)))))
  (import "b" (core module $b (import "a" "f" (func (result i32))) (export "g" (func (result i32)))))
  (core instance $a (instantiate $a))
  (core instance $b (instantiate $b (with "a" (instance $a))))
  (func (export "g") (result u32) (canon lift (core func $b "g"))))
;; check: (core instance (;0;) (instantiate 0))
;; next: (alias core export 0 "f" (core func (;0;)))
;; check: (core instance (;2;) (instantiate 1
;; next: (with "a" (instance 1))
;; check: (alias core export 2 "g" (core func (;1;)))
;; check: (core module $main
;; check: (core instance $main (instantiate $main
;; next: (with "meld:host-module" (instance 3))
;; check: (export (;1;) "g" (func 0))
