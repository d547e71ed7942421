;; Nor can it be instantiated after a start function of the program.
;; meldc: --emit=component
;; error: a core module that the host provides (import `m`) is instantiated after one of the program that has a start function
;; hint: instantiate it first
(component
  (import "m" (core module $m))
  (core module $ours (func $f) (start $f))
  (core instance (instantiate $ours))
  (core instance (instantiate $m)))
