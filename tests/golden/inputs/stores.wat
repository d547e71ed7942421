(component
  (component $store
    (import "get" (func $get (param "key" u32) (result u32)))
    (export "get" (func $get)))
  (core module $m
    (func (export "one") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "two") (param i32) (result i32) (i32.add (local.get 0) (i32.const 2))))
  (core instance $m (instantiate $m))
  (func $one (param "key" u32) (result u32) (canon lift (core func $m "one")))
  (func $two (param "key" u32) (result u32) (canon lift (core func $m "two")))
  (instance $first (instantiate $store (with "get" (func $one))))
  (instance $second (instantiate $store (with "get" (func $two))))
  (export "shop:api/store" (instance $first))
  (export "archive" (implements "shop:api/store") (instance $second)))
