;; A component that comes composed has nothing to link: it stays as it is.
;; meldc: --stop-after=link
;; check: (component
;; next: (@meld.facts linked)
;; next: (component $inner)
;; next: (instance $i (instantiate $inner))
;; next: {{^\)}}
(component
  (component $inner)
  (instance $i (instantiate $inner)))
