;; Exports that no component lifts, as those of stream partners, stay what they are: the module has no guard.
;; meldc: --passes=guard-entries
;; not: entry-guard
;; check: (export "f" (func $f))
;; not: entry-guard
(module
  (@meld.facts linked merged wired)
  (@meld.instance $a)
  (func $f (@meld.owner $a) (export "f")))
