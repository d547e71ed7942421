;; A canonical built-in that no pass has replaced cannot be shipped; one that nothing reaches is dropped.
;; meldc: --passes=finish
;; error: the canonical built-in `resource.rep` of `a` cannot be fused yet
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.resource $file (label "file") (owner $a))
  (import "meld:canon" "resource.rep" (func $rep (@meld.owner $a) (@meld.canon resource.rep (instance $a) (type (own $file))) (param i32) (result i32)))
  (import "meld:canon" "resource.drop" (func $drop (@meld.owner $a) (@meld.canon resource.drop (instance $a) (type (own $file))) (param i32)))
  (func (@meld.owner $a) (export "f") (result i32) (call $rep (i32.const 1))))
