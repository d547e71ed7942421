;; An adapter copies from memory to memory, so it is written before there is only one.
;; meldc: --passes=lower-multi-memory
;; error: the call of `f` from `a` is still a boundary
;; hint: run adapter-wiring before lower-multi-memory
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f (@meld.boundary (caller $a) (callee $b) (label "f") (target $g) (type))))
  (memory $first 1)
  (memory $second 1)
  (func $g (@meld.owner $b))
  (func (@meld.owner $a) (export "run") (call $f)))
