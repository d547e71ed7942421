;; An own handle that the outside gives to the module ceases to be. Only a drop ends it, and a drop runs the destructor,
;; which does nothing meanwhile.
(module
  (import "meld" "rep" (func $rep (param i32) (result i32)))
  (import "meld" "drop" (func $drop (param i32)))
  (import "meld" "taking" (global $taking (mut i32)))

  ;; The representation for the handle.
  (func $take (export "take") (param $handle i32) (result i32)
    (local $held i32)
    (local.set $held (call $rep (local.get $handle)))
    (global.set $taking (i32.const 1))
    (call $drop (local.get $handle))
    (global.set $taking (i32.const 0))
    (local.get $held))
)
