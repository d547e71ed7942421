;; While the host is called it may call back, so the state is idle then; afterwards it is what it was before.
;; meldc: --passes=guard-entries
;; check: (func $f (@
;; next: call $log.exit
;; check: (func $log.exit (@{{.*}}(@meld.synthetic entry-guard)
;; check: global.get $entered
;; check: global.set $entered
;; check: call $log
;; check: global.set $entered
(module
  (@meld.facts linked merged wired)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type))
  (import "$root" "log" (func $log (@meld.owner $a) (@meld.host (instance $a) (label "log") (type))))
  (func $f (@meld.owner $a) (export "f") (call $log)))
