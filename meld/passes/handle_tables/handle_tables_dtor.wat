;; A destructor that throws traps: no exception leaves a component.
(module
  (import "meld" "dtor" (func $dtor (param i32)))
  (import "meld" "trap THROWN" (func $thrown))
  (func $dtor.caught (export "dtor") (param $rep i32)
    (block $caught
      (try_table (catch_all $caught)
        (call $dtor (local.get $rep)))
      (return))
    (call $thrown)
    (unreachable))
)
