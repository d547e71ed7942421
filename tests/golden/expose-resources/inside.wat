;; A resource that is exported, but that no exported function takes or returns, stays inside.
;; meldc: --passes=link,merge,expose-resources
;; not: (@meld.exposed
;; not: [resource-new]
;; check: (@meld.facts linked merged exposed-resources)
;; not: (@meld.exposed
;; check: (@meld.resource-export $file
;; not: (@meld.exposed
(component
  (type $file (resource (rep i32)))
  (core module $m (func (export "run")))
  (core instance $i (instantiate $m))
  (export "file" (type $file))
  (func (export "run") (canon lift (core func $i "run"))))
