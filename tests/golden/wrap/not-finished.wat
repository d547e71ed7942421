;; `finish` exports what lifting and lowering need, so `wrap` comes after it.
;; meldc: --passes=link,merge,wrap
;; error: `wrap` needs the fact `finished`
(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f"))))
