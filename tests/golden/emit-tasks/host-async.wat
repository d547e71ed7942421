;; A core module cannot wait for its host: an asynchronous function of the host that is called is refused.
;; meldc: --passes=plan-tasks,emit-tasks
;; error: `a` calls `sleep` (func async (param "ms" u32)) of the host, which is asynchronous; a core module cannot wait
;; hint: give a component that exports `test:clock/api` as another input
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (import "test:clock/api" "sleep" (func $sleep (@meld.owner $a)
    (@meld.host (instance $a) (label "sleep") (type async (param "ms" u32))) (param i32)))
  (func (@meld.owner $a) (export "run") (call $sleep (i32.const 10))))
