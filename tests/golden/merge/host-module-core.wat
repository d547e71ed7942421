;; The product has to be a component then.
;; meldc:
;; error: instantiates a core module that only the host could provide (`m` of `$root`)
;; hint: --emit=component keeps it as an import
(component
  (import "m" (core module $m))
  (core instance (instantiate $m)))
