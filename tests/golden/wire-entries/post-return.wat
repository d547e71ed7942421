;; A function with a `post-return` is over only after that: the slots are emptied there, and the function stays as it is.
;; meldc: --stop-after=wire-entries
;; check: (@meld.export "run" {{.*}}(target $post-return/run){{.*}}(post-return $run.task)
;; check: (export "run" (func $post-return/run))
;; next: (export "cabi_post_run" (func $run.task))
(component
  (core func $set (canon context.set i32 0))
  (core module $m
    (import "" "set" (func $set (param i32)))
    (func (export "run") (result i32) (call $set (i32.const 5)) (i32.const 7))
    (func (export "post") (param i32)))
  (core instance $i (instantiate $m (with "" (instance (export "set" (func $set))))))
  (func (export "run") (result u32) (canon lift (core func $i "run") (post-return (core func $i "post")))))
