;; A call between components that nobody has adapted is not shipped.
;; meldc: --passes=finish
;; error: the call of `f` (func) from `a` is still a boundary
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "f" (func $f
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $g) (type)) ))
  (func $g)
  (func (export "run") (call $f)))
