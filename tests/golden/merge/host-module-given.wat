;; A core module of the host that imports from the program is made behind the fused module, which gets its functions.
;; meldc: --passes=link,merge
;; check: (@meld.host-module $host-module-1 (module "$root") (field "m") (given (func "ours" "f" "meld:host-module/1/0")) (late))
;; check: (import "meld:host-module" "1 g"
;; check: (export "meld:host-module/1/0" (func
(component
  (import "m" (core module $m (import "ours" "f" (func)) (export "g" (func))))
  (core module $ours (func (export "f")))
  (core instance $ours (instantiate $ours))
  (core instance $i (instantiate $m (with "ours" (instance $ours))))
  (func (export "g") (canon lift (core func $i "g"))))
