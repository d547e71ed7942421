;; Each instance has a table of its own: the number of a handle of `a` means nothing to `b`.
;; meldc: --passes=handle-tables
;; check: (@meld.handles $a
;; next: (@meld.handles $b
;; run: mine() == 7
;; run: stolen() traps
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.resource $file (label "file") (owner $a))
  (import "meld:canon" "resource.new" (func $new (@meld.owner $a) (@meld.canon resource.new (instance $a) (type (own $file))) (param i32) (result i32)))
  (import "meld:canon" "resource.rep" (func $rep (@meld.owner $a) (@meld.canon resource.rep (instance $a) (type (own $file))) (param i32) (result i32)))
  (import "meld:canon" "resource.drop" (func $drop (@meld.owner $b) (@meld.canon resource.drop (instance $b) (type (own $file))) (param i32)))
  (func (export "mine") (result i32) (call $rep (call $new (i32.const 7))))
  (func (export "stolen") (call $drop (call $new (i32.const 7)))))
