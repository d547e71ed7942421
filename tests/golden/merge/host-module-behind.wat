;; What is made behind the fused module cannot give it a memory: that would have to be there before.
;; meldc: --emit=component
;; error: a core module that the host provides (import `m`) is instantiated after one of the program that has a start function, and exports `memory`, a memory, to the program, which is there only after that
;; hint: let the program take functions over numbers from it
(component
  (import "m" (core module $m (export "memory" (memory 1))))
  (core module $ours (func $f) (start $f))
  (core instance (instantiate $ours))
  (core instance $i (instantiate $m))
  (core module $user (import "m" "memory" (memory 1)))
  (core instance (instantiate $user (with "m" (instance $i)))))
