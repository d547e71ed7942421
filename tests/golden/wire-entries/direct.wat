;; An export that needs no task is the callee itself; nothing is put in its place.
;; meldc: --stop-after=wire-entries
;; check: (@meld.planned-export "run" (how direct))
;; check: (export "run" (func $direct/run))
;; not: .task
;; run: run() == 7
(component
  (core module $m (func (export "run") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "run") async (result u32) (canon lift (core func $i "run"))))
