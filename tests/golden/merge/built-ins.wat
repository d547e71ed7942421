;; A canonical built-in is an import of `meld:canon`; one that no core module is given is dropped.
;; meldc: --stop-after=merge
;; check: (@meld.resource $file (label "file") (owner $built-ins))
;; not: resource.drop
;; check: (import "meld:canon" "resource.new" (func $built-ins/resource.new (@meld.owner $built-ins) (@meld.canon resource.new (instance $built-ins) (type (own $file)))
(component
  (type $file (resource (rep i32)))
  (core func $new (canon resource.new $file))
  (core func $drop (canon resource.drop $file))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (func (export "open") (result i32) (call $new (i32.const 7))))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
  (export $File "file" (type $file))
  (func (export "open") (result (own $File)) (canon lift (core func $i "open"))))
