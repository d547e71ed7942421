;; Adapters carry handles from table to table, so the tables come first.
;; meldc: --passes=adapter-wiring
;; error: call of `f` from `b` into `a`: handles of `file` cannot be carried over: (func (param "x" (own $file)))
;; hint: run handle-tables before adapter-wiring
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.resource $file (label "file") (owner $a))
  (import "meld:boundary" "b->a/f" (func $f
    (@meld.boundary (caller $b) (callee $a) (label "f") (target $a/f) (type (param "x" (own $file)))) (param i32)))
  (func $a/f (@meld.owner $a) (param i32))
  (func (export "run") (call $f (i32.const 1))))
