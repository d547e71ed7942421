;; A copy from one memory to another is a copy from region to region; both ends are checked before a byte moves.
;; meldc: --passes=lower-multi-memory
;; check: {{^  }}(memory $memory {{.*}} 2 2)
;; not: memory.copy $second $first
;; check: memory.copy
;; run: copied(1) == 42
;; run: copied(65536) == 42
;; run: copied(65537) traps
(module
  (@meld.facts linked merged)
  (memory $first 1 1)
  (memory $second 1 1)
  (data (memory $first) (i32.const 0) "\2a")
  (func (export "copied") (param $count i32) (result i32)
    (memory.copy $second $first (i32.const 0) (i32.const 0) (local.get $count))
    (i32.load8_u $second (i32.const 0))))
