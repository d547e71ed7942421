;; A module without tasks is left as it is.
;; meldc: --passes=adapter-wiring,stack-switching
;; output:
;;   (module
;;     (@meld.facts linked merged wired resumable)
;;     (type (func (param i32) (result i32)))
;;     (export "f" (func 0))
;;     (func (type 0) (param i32) (result i32)
;;       local.get 0
;;     )
;;   )
(module
  (@meld.facts linked merged)
  (func (export "f") (param i32) (result i32) (local.get 0)))
