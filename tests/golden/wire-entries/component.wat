;; Where the product is to be a component, the function is lifted asynchronously again: it has a callback, and the host's
;; `task.return` takes the result.
;; meldc: --emit=component
;; check: "[task-return]run"
;; check: (export "[async-lift]run"
;; check: (export "[callback][async-lift]run"
;; check: {{^  }}(func {{.*}}(canon lift {{.*}}async {{.*}}(callback
(component
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "return" (func $return (param i32)))
    (func (export "run") (result i32) (call $return (i32.const 7)) (i32.const 0))
    (func (export "back") (param i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "run") async (result u32)
    (canon lift (core func $i "run") async (callback (core func $i "back")))))
