;; A module that did not come from a composition does not say what its world is.
;; meldc: --passes=finish,wrap
;; error: the module does not say what its world is
;; hint: what `merge` makes says it, or why not
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (func (@meld.owner $a) (export "f")))
