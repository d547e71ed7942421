;; Custom sections of components are treated like those of core modules: carried once, or dropped with a remark.
;; meldc: --passes=merge
;; remark: `.debug_info` (1 bytes), `component-type:docs` (1 bytes), `licenses` (3 bytes), `target_features` (1 bytes)
;; not: licenses
;; check: (@custom "of-both" (after data) "b")
;; not: (@custom "of-both"
;; check: (@custom "of-component" (after data) "c")
(component
  (core module $m
    (@custom "of-both" "b")
    (@custom "licenses" "MIT")
    (func (export "f")))
  (@custom "of-both" "b")
  (@custom "of-component" "c")
  (@custom "component-type:docs" "d")
  (@custom "target_features" "e")
  (@custom ".debug_info" "f")
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f"))))
