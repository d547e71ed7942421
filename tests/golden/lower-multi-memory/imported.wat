;; A memory that somebody else owns cannot become a region.
;; meldc: --passes=lower-multi-memory
;; error: memory `host` is imported and cannot become a region of a single memory
(module
  (@meld.facts linked merged)
  (import "host" "memory" (memory $host 1))
  (memory $own 1)
  (func (export "f") (result i32) (i32.add (i32.load $host (i32.const 0)) (i32.load $own (i32.const 0)))))
