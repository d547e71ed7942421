;; What the root imports is the host's: such an import keeps its name, and the note has its component type and options.
;; meldc: --stop-after=merge
;; check: (import "$root" "log" (func $host-call/log (@meld.owner $host-call) (@meld.host (instance $host-call) (label "log") (type (param "text" string)) (lower (memory $host-call/memory)))
(component
  (import "log" (func $log (param "text" string)))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $log' (canon lower (func $log) (memory (core memory $memory "memory"))))
  (core module $m
    (import "" "log" (func $log (param i32 i32)))
    (func (export "run") (call $log (i32.const 0) (i32.const 5))))
  (core instance $i (instantiate $m (with "" (instance (export "log" (func $log'))))))
  (func (export "run") (canon lift (core func $i "run"))))
