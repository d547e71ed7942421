;; A core module that only the host can provide cannot become part of a core module; what it exports is an import.
;; meldc: --passes=link,merge
;; check: (@meld.host-module $host-module-1 (module "$root") (field "m"))
;; check: (import "meld:host-module" "1 f" (func $host-module-1/f (@meld.owner $host-module) (@meld.host-module-export $host-module-1 "f")
(component
  (import "m" (core module $m (export "f" (func (result i32)))))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
