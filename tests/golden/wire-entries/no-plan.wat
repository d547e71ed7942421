;; A program in which nothing is asynchronous has no plan, and its exports stay as they are.
;; meldc: --passes=wire-entries
;; check: (export "f" (func $f))
;; not: .task
(module
  (@meld.facts linked merged task-plan tasks wired)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type))
  (func $f (@meld.owner $a) (export "f")))
