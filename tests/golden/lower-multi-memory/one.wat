;; A module with one memory is left alone.
;; meldc: --passes=lower-multi-memory
;; remark: there is one memory at most; nothing to lower
;; check: (memory $m 1)
;; check: i32.load8_u
(module
  (@meld.facts linked merged)
  (memory $m 1)
  (func (export "f") (param i32) (result i32) (i32.load8_u (local.get 0))))
