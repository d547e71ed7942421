;; Growing a region moves those behind it; what they hold moves along.
;; meldc: --passes=lower-multi-memory
;; check: {{^  }}(memory $memory {{.*}} 2 {{.*}})
;; not: {{^  }}(memory
;; check: call $first.grow
;; run: grown() == 1, 2, 7
(module
  (@meld.facts linked merged)
  (memory $first 1)
  (memory $second 1)
  (data (memory $second) (i32.const 0) "\07")
  (func (export "grown") (result i32 i32 i32)
    (memory.grow $first (i32.const 1))
    (memory.size $first)
    (i32.load8_u $second (i32.const 0))))
