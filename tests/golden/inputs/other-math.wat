;; Exports `double: func(x: s32) -> s32`, as math.wat does, by a shift.
(component $other-math
  (core module $m
    (func (export "double") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1))))
  (core instance $i (instantiate $m))
  (func (export "double") (param "x" s32) (result s32) (canon lift (core func $i "double"))))
