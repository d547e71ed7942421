;; An instance that lowers what it lifts itself would be entered while it runs: the adapter traps, as an engine does.
;; meldc: --passes=adapter-wiring
;; check: (@meld.wired (caller $a) (callee $a) {{.*}}(reason "an instance that calls itself traps"))
;; run: run() traps
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (import "meld:boundary" "a->a/f" (func $f (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $a) (label "f") (target $a/f) (type))))
  (func $a/f (@meld.owner $a))
  (func $run (@meld.owner $a) (export "run") (call $f)))
