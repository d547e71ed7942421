;; Without built-ins of asynchronous code there is nothing to replace, and nothing is linked in.
;; meldc: --passes=plan-tasks,emit-tasks
;; output:
;;   (module
;;     (@meld.facts linked merged task-plan tasks)
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
