;; A version feeds an import if it is semver-compatible: 1.3.1 is for 1.2.0, and 2.0.0 is not for 1.0.0.
;; meldc: {} ../inputs/shop.wat --stop-after=link
;; remark: `shop` feeds `shop:api/prices@1.2.0` (by `shop:api/prices@1.3.1`) of `version`
;; check: (import "shop:api/stock@1.0.0"
;; check: (alias export $shop "shop:api/prices@1.3.1"
;; check: (with "shop:api/prices@1.2.0" (instance
;; next: (with "shop:api/stock@1.0.0" (instance
;; check: (export {{.*}}"shop:api/stock@2.0.0"
(component
  (import "shop:api/prices@1.2.0" (instance (export "price" (func (result u32)))))
  (import "shop:api/stock@1.0.0" (instance (export "count" (func (result u32))))))
