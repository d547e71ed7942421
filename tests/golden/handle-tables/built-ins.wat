;; `resource.new`, `resource.rep` and `resource.drop` become functions over the instance's table, and keep their notes.
;; meldc: --passes=handle-tables
;; check: (@meld.handles $a
;; not: (import
;; check: {{^  }}(func $rep (@{{.*}}(@meld.synthetic handle-table){{.*}}(@meld.canon resource.rep (instance $a)
;; check: call $handle-table.handle_get
;; run: there-and-back(42) == 42
;; run: dropped(42) traps
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.resource $file (label "file") (owner $a))
  (import "meld:canon" "resource.new" (func $new (@meld.owner $a) (@meld.canon resource.new (instance $a) (type (own $file))) (param i32) (result i32)))
  (import "meld:canon" "resource.rep" (func $rep (@meld.owner $a) (@meld.canon resource.rep (instance $a) (type (own $file))) (param i32) (result i32)))
  (import "meld:canon" "resource.drop" (func $drop (@meld.owner $a) (@meld.canon resource.drop (instance $a) (type (own $file))) (param i32)))
  (func (export "there-and-back") (param i32) (result i32) (call $rep (call $new (local.get 0))))
  (func (export "dropped") (param i32) (result i32) (local $h i32)
    (local.set $h (call $new (local.get 0)))
    (call $drop (local.get $h))
    (call $rep (local.get $h))))
