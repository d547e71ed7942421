;; The sections `target_features` become one; a module without one is looked through; `finish` adds what was generated.
;; meldc: --passes=link,merge,finish
;; remark: `target_features`: inputs disallow `tail-call`, which is said of one module alone
;; check: (@custom "target_features" (after data) "\03+\0fmutable-globals+\0freference-types+\08sign-ext")
(component
  (core module $a (@custom "target_features" "\03+\08sign-ext-\09tail-call+\0fmutable-globals")
    (func (export "f")))
  (core module $b (func (export "g") (drop (ref.null func))))
  (core instance $ai (instantiate $a))
  (core instance $bi (instantiate $b))
  (func (export "f") (canon lift (core func $ai "f")))
  (func (export "g") (canon lift (core func $bi "g"))))
