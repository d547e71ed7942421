;; After handle-tables the handles of all resources are inside already: the pass says so and changes nothing.
;; meldc: --passes=link,merge,handle-tables,expose-resources
;; remark: handle-tables has run: the handles of all resources are inside the module already
;; not: [resource-new]
;; not: (@meld.exposed
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
