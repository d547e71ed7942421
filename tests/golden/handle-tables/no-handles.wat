;; Without handles there are no tables, and no state memory.
;; meldc: --passes=handle-tables
;; output:
;;   (module
;;     (@meld.facts linked merged handle-tables)
;;     (@meld.instance $a)
;;     (type (func))
;;     (export "f" (func $f))
;;     (func $f (@meld.owner $a) (type 0)
;;     )
;;   )
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (func $f (@meld.owner $a) (export "f")))
