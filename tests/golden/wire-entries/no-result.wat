;; A task that ends without a result traps: the host gets no value that nobody returned.
;; meldc: --stop-after=wire-entries
;; check: (func $run.task (@
;; run: run() traps
(component
  (core module $m
    (func (export "run") (result i32) (i32.const 0))
    (func (export "back") (param i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "run") async (result u32)
    (canon lift (core func $i "run") async (callback (core func $i "back")))))
