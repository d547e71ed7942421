;; In a module that becomes a component, an exported function that is lifted synchronously and may wait is lifted with a
;; callback, so that other instances can be entered meanwhile: a function in front of it hands the result over.
;; meldc: --passes=plan-tasks
;; check: (@meld.export "f" (instance $a) (target $f.relifted) (type async (result (tuple u8 f32))) (lift (memory $m) (callback $callback) async)
;; check: (@meld.planned-export "f" (how task) (call 1) (blocks "f.relifted → f → thread.yield"))
;; check: (@meld.canon task.return (instance $a) (type (tuple u8 f32)) (options (memory $m)))
;; check: i32.load8_u
;; check: f32.load offset=4
;; check: call $a/task.return
;; check: call $post
(module
  (@meld.facts linked merged exposed-resources)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type async (result (tuple u8 f32))) (lift (memory $m) (post-return $post)))
  (import "meld:canon" "thread.yield" (func $yield (@meld.owner $a) (@meld.canon thread.yield (instance $a)) (result i32)))
  (memory $m 1)
  (func $f (@meld.owner $a) (export "f") (result i32) (drop (call $yield)) (i32.const 64))
  (func $post (@meld.owner $a) (export "cabi_post_f") (param i32)))
