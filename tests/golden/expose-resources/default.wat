;; Without the pass a handle of an exported resource is an index of one instance's table: nothing is imported for it.
;; meldc: --passes=link,merge,handle-tables,adapter-wiring,finish
;; not: [resource-new]
;; check: (export "open" (func $default/open))
;; meldc: --passes=link,merge,expose-resources,handle-tables,adapter-wiring,finish
;; check: (import "[export]$root" "[resource-new]file"
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
