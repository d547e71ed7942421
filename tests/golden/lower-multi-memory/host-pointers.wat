;; The memory that the host is given pointers into becomes the first region, which never moves; there can be only one.
;; meldc: --passes=lower-multi-memory
;; error: the host is given pointers into several memories (`first`, `second`)
;; hint: in a single memory it could not tell them apart
(module
  (@meld.facts linked merged)
  (memory $first (export "first") 1)
  (memory $second (export "second") 1))
