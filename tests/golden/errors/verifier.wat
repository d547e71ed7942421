;; What the text says well, and what still cannot be.
;; meldc: check
;; error: the fact `merged` is stated 2 times
(module
  (@meld.facts merged wired merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.domain $d (instances $a) (carried away)) ;; error: is carried by `away`; there are `bridge`, `rendezvous`, `host`
  (@meld.pair (domain $d) (producer $a) (consumer $b)) ;; error: `b` is not in the domain `d`
  (import "meld:boundary" "f" (func $f ;; error: is a call between components that is still to be adapted, and the fact `wired` holds
    (@meld.boundary (caller $a) (callee $b) (label "f") (target $g) (type (param "x" s64))) ;; error: its type lowers to (i64) -> (), and the function is (i32) -> ()
    (param i32)))
  (memory $m 3 2) ;; error: has 3 at least and 2 at most
  (func $g (param i64))
  (export "g" (func $g))
  (export "g" (func $f)) ;; error: is exported already
  (func $h
    local.get 0 ;; error: there is no local 0: there are 0
    drop))
