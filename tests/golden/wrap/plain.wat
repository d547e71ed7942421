;; Functions of numbers need no shim: the module is instantiated with the lowered imports, and its exports are lifted.
;; meldc: --emit=component
;; check: {{^  }}(import "log" (func
;; not: "shim"
;; check: {{^  }}(core func {{.*}}(canon lower
;; check: {{^  }}(core module $main
;; check: {{^  }}(core instance $main (instantiate $main
;; check: {{^  }}(func {{.*}}(canon lift
;; not: $shim
(component
  (import "log" (func $log (param "x" u32)))
  (core func $log' (canon lower (func $log)))
  (core module $m
    (import "" "log" (func $log (param i32)))
    (func (export "run") (call $log (i32.const 7))))
  (core instance $i (instantiate $m (with "" (instance (export "log" (func $log'))))))
  (func (export "run") (canon lift (core func $i "run"))))
