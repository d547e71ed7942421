;; The outside may drop the last handle, so the destructor is an export, by the name that wit-component has for it.
;; meldc: --passes=link,merge,expose-resources
;; check: (export "$root#[dtor]file" (func
(component
  (core module $d (func (export "dtor") (param i32)))
  (core instance $d (instantiate $d))
  (type $file (resource (rep i32) (dtor (core func $d "dtor"))))
  (core func $new (canon resource.new $file))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (func (export "open") (result i32) (call $new (i32.const 7))))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
  (export $File "file" (type $file))
  (func (export "open") (result (own $File)) (canon lift (core func $i "open"))))
