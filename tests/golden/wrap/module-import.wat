;; An import that holds a core module, which nothing uses, has its type in full.
;; meldc: {} --emit=component
(component
  (import "foo" (instance
    (export "a-module" (core module (import "env" "something" (func))))))
  (core module $m (func (export "f")))
  (core instance $m (instantiate $m))
  (func (export "f") (canon lift (core func $m "f"))))
;; check: (module
;; next: (type (;0;) (func))
;; next: (import "env" "something" (func
