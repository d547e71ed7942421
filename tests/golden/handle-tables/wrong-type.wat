;; A table holds handles of several types, and each entry knows its own: a file is no socket.
;; meldc: --passes=handle-tables
;; not: (import
;; check: {{^  }}(func $socket-rep (@
;; check: call $handle-table.handle_get
;; run: file() == 7
;; run: confused() traps
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.resource $file (label "file") (owner $a))
  (@meld.resource $socket (label "socket") (owner $a))
  (import "meld:canon" "resource.new" (func $new (@meld.owner $a) (@meld.canon resource.new (instance $a) (type (own $file))) (param i32) (result i32)))
  (import "meld:canon" "resource.rep" (func $file-rep (@meld.owner $a) (@meld.canon resource.rep (instance $a) (type (own $file))) (param i32) (result i32)))
  (import "meld:canon" "resource.rep" (func $socket-rep (@meld.owner $a) (@meld.canon resource.rep (instance $a) (type (own $socket))) (param i32) (result i32)))
  (func (export "file") (result i32) (call $file-rep (call $new (i32.const 7))))
  (func (export "confused") (result i32) (call $socket-rep (call $new (i32.const 7)))))
