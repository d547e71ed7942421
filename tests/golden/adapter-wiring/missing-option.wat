;; What a type needs of either side has to be there; a note that was written by hand may lack it.
;; meldc: --passes=adapter-wiring
;; error: call of `f` from `a` into `b`: its `canon lift` has no `realloc`, which (func (param "s" string)) needs
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/f" (func $f (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $b/f) (type (param "s" string))
      (lower (memory $m)) (lift (memory $m)))
    (param i32 i32)))
  (memory $m 1)
  (func $b/f (@meld.owner $b) (param i32 i32))
  (func $run (@meld.owner $a) (export "run") (call $f (i32.const 0) (i32.const 0))))
