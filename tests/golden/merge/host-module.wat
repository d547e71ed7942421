;; A core module that only the host could provide cannot become part of the module.
;; meldc:
;; error: component instance `host-module`: instantiates a core module that only the host could provide (import `m`)
(component
  (import "m" (core module $m))
  (core instance (instantiate $m)))
