;; A component that is instantiated twice has its items twice; each instance counts for itself.
;; meldc: --stop-after=merge
;; check: (@meld.instance $a)
;; check: (@meld.instance $b)
;; check: (global $a/count
;; check: (global $b/count
;; check: (func $a/next (@
;; next: global.get $a/count
;; check: (func $b/next (@
;; next: global.get $b/count
;; meldc:
;; run: a() == 1
;; run: b() == 1
(component
  (component $counter
    (core module $m
      (global $count (mut i32) (i32.const 0))
      (func $next (export "next") (result i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (global.get $count)))
    (core instance $i (instantiate $m))
    (func (export "next") (result u32) (canon lift (core func $i "next"))))
  (instance $a (instantiate $counter))
  (instance $b (instantiate $counter))
  (export "a" (func $a "next"))
  (export "b" (func $b "next")))
