;; A function that `ref.func` names has to be declared somewhere; where the segment that did it is dropped, one is added.
;; meldc: --passes=finish
;; not: (table
;; check: (elem {{.*}}declare func $f)
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (table $t 1 funcref)
  (elem $passive func $f)
  (func $f (@meld.owner $a))
  (func (@meld.owner $a) (export "get") (result funcref) (ref.func $f)))
