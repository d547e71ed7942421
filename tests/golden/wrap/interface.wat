;; An exported interface is an instance again; its functions come from exports of the module called `interface#function`.
;; meldc: --emit=component
;; check: (export "shop:api/prices#price" (func
;; check: {{^  }}(export {{.*}}"shop:api/prices" (instance
(component
  (core module $m (func (export "price") (result i32) (i32.const 30)))
  (core instance $i (instantiate $m))
  (func $price (result u32) (canon lift (core func $i "price")))
  (instance $prices (export "price" (func $price)))
  (export "shop:api/prices" (instance $prices)))
