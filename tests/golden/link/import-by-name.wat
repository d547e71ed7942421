;; An import is fed from the export of the same name; the importer comes first.
;; meldc: {} ../inputs/math.wat --stop-after=link
(component $user
  (import "double" (func $double (param "x" s32) (result s32)))
  (core func $lowered (canon lower (func $double)))
  (core module $m
    (import "math" "double" (func $double (param i32) (result i32)))
    (func (export "quadruple") (param i32) (result i32) (call $double (call $double (local.get 0)))))
  (core instance $i (instantiate $m (with "math" (instance (export "double" (func $lowered))))))
  (func (export "quadruple") (param "x" s32) (result s32) (canon lift (core func $i "quadruple"))))
;; check: (@meld.facts linked)
;; check: (component $import-by-name (@meld.own-name "user")
;; check: (component $math
;; check: (with "double" (func {{.*}}))
;; meldc: {} ../inputs/math.wat --stop-after=merge
;; check: (@meld.facts linked merged)
;; check: (import "meld:boundary" {{.*}} (@meld.boundary (caller $import-by-name) (callee $math) (label "math/double")
;; run: quadruple(3) == 12
;; meldc: {} ../inputs/math.wat
;; not: meld:boundary
;; check: (@meld.wired (caller $import-by-name) (callee $math) (label "math/double") {{.*}} (how direct)
;; run: quadruple(3) == 12
;; run: quadruple(-536870912) == -2147483648
