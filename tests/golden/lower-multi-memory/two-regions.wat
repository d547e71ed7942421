;; Two memories become regions of one; each keeps its bounds.
;; meldc: --passes=lower-multi-memory
(module
  (@meld.facts linked merged)
  (memory $first 1 1)
  (memory $second 1 1)
  (data (memory $first) (i32.const 0) "\2a")
  (data (memory $second) (i32.const 0) "\07")
  (func (export "first") (param i32) (result i32) (i32.load8_u $first (local.get 0)))
  (func (export "second") (param i32) (result i32) (i32.load8_u $second (local.get 0))))
;; check: {{^  }}(memory $memory {{.*}} 2 2)
;; not: {{^  }}(memory
;; run: first(0) == 42
;; run: second(0) == 7
;; run: first(65535) == 0
;; run: first(65536) traps
;; run: second(65536) traps
;; run: second(-1) traps
