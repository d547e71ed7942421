;; What the engine refuses has a place in the text.
;; meldc: check --engine
(module
  (func $f (result i32)
    (i32.add ;; error: type mismatch: expected i32, found i64
      (i32.const 1)
      (i64.const 2))))
