;; Constants are held by a module in front; what wants a function is made behind the fused module, and what comes after it then.
;; meldc: {} --emit=component
(component
  (import "a" (core module $a (import "" "n" (global i32))))
  (import "b" (core module $b (import "" "f" (func)) (export "g" (func))))
  (core module $p (global (export "n") i32 (i32.const 3)) (func (export "f")))
  (core instance $p (instantiate $p))
  (core instance (instantiate $a (with "" (instance $p))))
  (core instance $b (instantiate $b (with "" (instance $p))))
  (core module $q (import "" "g" (func $g)) (start $g))
  (core instance (instantiate $q (with "" (instance $b)))))
;; check: (core module $constants
;; check: (core instance $constants (instantiate $constants))
;; check: (core instance (;2;) (instantiate 0
;; check: (core instance $shim (instantiate $shim))
;; check: (core instance $main (instantiate $main
;; check: (core instance (;7;) (instantiate 1
;; check: (core module $fixup
;; check: (core instance $fixup (instantiate $fixup
