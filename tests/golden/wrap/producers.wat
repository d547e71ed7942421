;; The tools that made the inputs are named by the component too.
;; meldc: --emit=component
;; check: (core module $main
;; check: (@custom "producers"
;; check: (export
;; check: (@custom "producers" "\01\0cprocessed-by\02\05clang\0220\rwit-component\050.251")
(component
  (core module $m
    (@producers (processed-by "clang" "20"))
    (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f")))
  (@producers (processed-by "wit-component" "0.251")))
