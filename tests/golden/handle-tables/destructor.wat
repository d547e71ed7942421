;; Dropping an own handle runs the destructor of its resource, with the representation.
;; meldc: --passes=handle-tables
;; not: (import
;; check: {{^  }}(func $drop (@
;; check: call $handle-table.drop
;; check: call $dtor
;; run: run(42) == 42
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.resource $file (label "file") (owner $a) (dtor $dtor))
  (import "meld:canon" "resource.new" (func $new (@meld.owner $a) (@meld.canon resource.new (instance $a) (type (own $file))) (param i32) (result i32)))
  (import "meld:canon" "resource.drop" (func $drop (@meld.owner $a) (@meld.canon resource.drop (instance $a) (type (own $file))) (param i32)))
  (global $destroyed (mut i32) (i32.const 0))
  (func $dtor (@meld.owner $a) (param i32) (global.set $destroyed (local.get 0)))
  (func (export "run") (param i32) (result i32)
    (call $drop (call $new (local.get 0)))
    (global.get $destroyed)))
