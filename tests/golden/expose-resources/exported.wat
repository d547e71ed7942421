;; A resource that exported functions take or return gets handles of the outside: two imports, by the names that
;; wit-component has for them, and an edge for each of the functions.
;; meldc: --passes=link,merge,expose-resources
;; check: (@meld.exposed $file
;; check: (import {{.*}}(@meld.edge $exported (way in) (label "open")
;; check: (import {{.*}}(@meld.edge $exported (way in) (label "read")
(component
  (type $file (resource (rep i32)))
  (core func $new (canon resource.new $file))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (func (export "open") (result i32) (call $new (i32.const 7)))
    (func (export "read") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
  (export $File "file" (type $file))
  (func (export "open") (result (own $File)) (canon lift (core func $i "open")))
  (func (export "read") (param "self" (borrow $File)) (result u32) (canon lift (core func $i "read"))))
