;; Calls inside the module go past the guards: only what the host calls is guarded.
;; meldc: --passes=guard-entries
;; not: meld:trapped
;; check: (export "f" (func $f.entry))
;; check: (export "g" (func $g.entry))
;; check: (func $f (@
;; next: call $g
(module
  (@meld.facts linked merged wired)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type))
  (@meld.export "g" (instance $a) (target $g) (type))
  (func $f (@meld.owner $a) (export "f") (call $g))
  (func $g (@meld.owner $a) (export "g")))
