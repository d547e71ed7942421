;; After a trap nothing of the program can be entered again. (Each `run` has a fresh instance.)
;; meldc: --passes=guard-entries,finish
(module
  (@meld.facts linked merged wired)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type (param "x" s32) (result s32)))
  (func $f (@meld.owner $a) (export "f") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then unreachable))
    (local.get 0)))
;; check: (@meld.synthetic entry-guard)
;; run: f(5) == 5
;; run: f(0) traps
