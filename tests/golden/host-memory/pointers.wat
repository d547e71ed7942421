;; What the host is given lies in the compiler's memory, where an edge copies it: the import's options name that memory.
;; meldc: --passes=link,merge,host-memory
;; check: (import "$root" "log" (func $log.outer {{.*}}(lower (memory $state) (realloc $state.arena_realloc))
;; check: (import "meld:boundary" "app->log" {{.*}}(@meld.edge $app (way out) {{.*}}(inner (memory $app/memory)) (outer (memory $state) (realloc $state.arena_realloc))
(component
  (import "log" (func $log (param "s" string)))
  (component $app
    (import "log" (func $log (param "s" string)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $log (canon lower (func $log) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "log" (func $log (param i32 i32)))
      (memory 1)
      (func (export "run") (call $log (i32.const 0) (i32.const 5))))
    (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $app (instantiate $app (with "log" (func $log))))
  (export "run" (func $app "run")))
