;; An asynchronous function of the host that no code reaches is no reason to refuse; `finish` drops the import.
;; meldc: --passes=plan-tasks,emit-tasks,finish
;; not: "sleep"
;; run: run() == 1
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (import "test:clock/api" "sleep" (func $sleep (@meld.owner $a)
    (@meld.host (instance $a) (label "sleep") (type async (param "ms" u32))) (param i32)))
  (func $dead (@meld.owner $a) (call $sleep (i32.const 10)))
  (func (@meld.owner $a) (export "run") (result i32) (i32.const 1)))
