;; The destructor of an exposed resource.
(module
  (import "meld" "dtor" (func $dtor (param i32)))
  (import "meld" "taking" (global $taking (mut i32)))

  (func $dtor.exposed (export "dtor") (param $rep i32)
    (if (global.get $taking) (then (return)))
    (call $dtor (local.get $rep)))
)
