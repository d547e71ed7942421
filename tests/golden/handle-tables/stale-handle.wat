;; A resource whose handles stay inside is served by tables of the module; a stale handle traps.
;; meldc:
(component
  (component $shop
    (core module $m (func (export "price") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 10))))
    (core instance $i (instantiate $m))
    (type $item (resource (rep i32)))
    (core func $new (canon resource.new $item))
    (core module $made (import "" "new" (func $new (param i32) (result i32))) (func (export "make") (param i32) (result i32) (call $new (local.get 0))))
    (core instance $made (instantiate $made (with "" (instance (export "new" (func $new))))))
    (export $Item "item" (type $item))
    (func (export "make") (param "id" u32) (result (own $Item)) (canon lift (core func $made "make")))
    (func (export "price") (param "self" (borrow $Item)) (result u32) (canon lift (core func $i "price"))))
  (component $user
    (import "shop" (instance $shop
      (export "item" (type $item (sub resource)))
      (export "make" (func (param "id" u32) (result (own $item))))
      (export "price" (func (param "self" (borrow $item)) (result u32)))))
    (alias export $shop "item" (type $item))
    (core func $make (canon lower (func $shop "make")))
    (core func $price (canon lower (func $shop "price")))
    (core func $drop (canon resource.drop $item))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "price" (func $price (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "price-of") (param i32) (result i32) (local $h i32)
        (local.set $h (call $make (local.get 0)))
        (call $price (local.get $h))
        (call $drop (local.get $h)))
      (func (export "stale") (result i32) (local $h i32)
        (local.set $h (call $make (i32.const 1)))
        (call $drop (local.get $h))
        (call $price (local.get $h))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "price" (func $price)) (export "drop" (func $drop))))))
    (func (export "price-of") (param "id" u32) (result u32) (canon lift (core func $i "price-of")))
    (func (export "stale") (result u32) (canon lift (core func $i "stale"))))
  (instance $shop (instantiate $shop))
  (instance $user (instantiate $user (with "shop" (instance $shop))))
  (export "price-of" (func $user "price-of"))
  (export "stale" (func $user "stale")))
;; check: (@meld.synthetic handle-table)
;; run: price-of(4) == 40
;; run: price-of(7) == 70
;; run: stale() traps
