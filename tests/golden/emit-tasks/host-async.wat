;; A stream cannot be passed to the host: a function that takes one is refused if it is called asynchronously.
;; meldc: --passes=plan-tasks,emit-tasks
;; error: `a` calls `drain` (func async (param "data" (stream u8))) of the host with a stream, a future or an error
;; hint: give a component that exports `test:sink/api` as another input; or use --emit=component
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (import "test:sink/api" "drain" (func $drain (@meld.owner $a)
    (@meld.host (instance $a) (label "drain") (type async (param "data" (stream u8))) (lower async))
    (param i32) (result i32)))
  (func (@meld.owner $a) (export "run") (drop (call $drain (i32.const 10)))))
