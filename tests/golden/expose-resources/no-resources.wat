;; A program that exports no resource is left alone.
;; meldc: --passes=expose-resources
;; output:
;;   (module
;;     (@meld.facts linked merged exposed-resources)
;;     (@meld.instance $a)
;;     (@meld.export "f" (instance $a) (target $f) (type))
;;     (type (func))
;;     (export "f" (func $f))
;;     (func $f (@meld.owner $a) (type 0)
;;     )
;;   )
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type))
  (func $f (@meld.owner $a) (export "f")))
