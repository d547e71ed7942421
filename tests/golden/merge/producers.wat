;; One section `producers` names the tools of all modules and components, each once, in the order of the conventions; a malformed one is dropped.
;; meldc: --passes=merge
;; remark: `producers` (1 bytes)
;; check: (@custom "producers"
;; not: (@custom "producers"
;; meldc: --passes=merge,finish --emit=wat
;; check: \02\08language\02\03C11\00\04Rust\061.2, 3\0cprocessed-by\03\05clang\0220\03wac\010\rwit-component\050.251
(component
  (core module $a
    (@custom "producers" "\02\0cprocessed-by\01\05clang\0220\08language\02\03C11\00\04Rust\031.2")
    (func (export "f") (result i32) (i32.const 1)))
  (core module $b
    (@custom "producers" "\01\08language\01\04Rust\013")
    (func (export "g") (result i32) (i32.const 2)))
  (core module $c
    (@custom "producers" "\05")
    (func (export "h") (result i32) (i32.const 3)))
  (core instance $a (instantiate $a))
  (core instance $b (instantiate $b))
  (core instance $c (instantiate $c))
  (func (export "f") (result u32) (canon lift (core func $a "f")))
  (func (export "g") (result u32) (canon lift (core func $b "g")))
  (func (export "h") (result u32) (canon lift (core func $c "h")))
  (component $nested (@producers (processed-by "wac" "0")))
  (instance (instantiate $nested))
  (@producers (processed-by "clang" "20") (processed-by "wit-component" "0.251")))
