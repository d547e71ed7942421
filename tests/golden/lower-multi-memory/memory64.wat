;; All regions have addresses of 32 bits, as targets with one address space have.
;; meldc: --passes=lower-multi-memory
;; error: memory `large` has 64-bit addresses and cannot become a region of a single memory
(module
  (@meld.facts linked merged)
  (memory $small 1)
  (memory $large i64 1)
  (func (export "f") (result i32) (i32.add (i32.load $small (i32.const 0)) (i32.load $large (i64.const 0)))))
