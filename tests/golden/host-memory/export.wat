;; A result is copied out of the instance's memory; the host gives the copy back by `post-return`.
;; meldc: --passes=link,merge,host-memory,adapter-wiring,lower-multi-memory,finish
;; check: (export "name" (func $app/name.edge)
;; check: (export "cabi_post_name" (func $state.arena_post_return))
;; run: name() == "hello"
(component
  (component $app
    (core module $m
      (memory (export "memory") 1)
      (data (i32.const 0) "\08\00\00\00\05\00\00\00hello")
      (func (export "name") (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "name") (result string) (canon lift (core func $i "name") (memory (core memory $i "memory")))))
  (component $other (core module $m (memory 1)) (core instance (instantiate $m)))
  (instance $app (instantiate $app))
  (instance (instantiate $other))
  (export "name" (func $app "name")))
