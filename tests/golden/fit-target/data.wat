;; Data that the start function of the compiler writes become stores of constants.
;; meldc: --passes=fit-target{target=lime1}
;; check: (func $start
;; not: memory.init
;; check: i64.store align=1
;; run: first() == 104
;; run: last() == 33
(module
  (@meld.facts linked merged)
  (memory $memory 1 1)
  (data $d "hello, world!")
  (start $start)
  (func $before (i32.store8 $memory (i32.const 16) (i32.const 1)))
  (func $start (@meld.synthetic start-wrapper)
    (call $before)
    (memory.init $memory $d (i32.const 16) (i32.const 0) (i32.const 13))
    (data.drop $d))
  (func (export "first") (result i32) (i32.load8_u $memory (i32.const 16)))
  (func (export "last") (result i32) (i32.load8_u $memory (i32.const 28))))
