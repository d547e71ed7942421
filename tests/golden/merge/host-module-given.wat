;; A core module of the host is instantiated before the fused module, so it can be given nothing of that.
;; meldc: --emit=component
;; error: a core module that the host provides (import `m`) imports `ours` `f` from the program, which is there only after it
;; hint: compose it unfused
(component
  (import "m" (core module $m (import "ours" "f" (func))))
  (core module $ours (func (export "f")))
  (core instance $ours (instantiate $ours))
  (core instance (instantiate $m (with "ours" (instance $ours)))))
