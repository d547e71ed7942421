;; Exports the interfaces `shop:api/prices@1.3.1` and `shop:api/stock@2.0.0`.
(component $shop
  (core module $m
    (func (export "price") (result i32) (i32.const 30))
    (func (export "count") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func $price (result u32) (canon lift (core func $i "price")))
  (func $count (result u32) (canon lift (core func $i "count")))
  (instance $prices (export "price" (func $price)))
  (instance $stock (export "count" (func $count)))
  (export "shop:api/prices@1.3.1" (instance $prices))
  (export "shop:api/stock@2.0.0" (instance $stock)))
