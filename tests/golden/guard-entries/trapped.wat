;; The module does not see that a function of the host traps; the host says so by the export `meld:trapped`, which exists
;; only where the host is called.
;; meldc: --passes=guard-entries
;; check: (export "meld:trapped" (func $meld:trapped))
;; run: meld:trapped() == ()
(module
  (@meld.facts linked merged wired)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type))
  (import "$root" "log" (func $log (@meld.owner $a) (@meld.host (instance $a) (label "log") (type))))
  (func $f (@meld.owner $a) (export "f") (call $log)))
