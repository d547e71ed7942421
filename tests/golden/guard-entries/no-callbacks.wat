;; A host that never calls back leaves the program closed while it is called: state 2 instead of 0.
;; meldc: --passes=guard-entries
;; check: (func $log.exit (@
;; check: i32.const 0
;; next: global.set $entered
;; meldc: --passes=guard-entries{callbacks=false}
;; check: (func $log.exit (@
;; check: i32.const 2
;; next: global.set $entered
(module
  (@meld.facts linked merged wired)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type))
  (import "$root" "log" (func $log (@meld.owner $a) (@meld.host (instance $a) (label "log") (type))))
  (func $f (@meld.owner $a) (export "f") (call $log)))
