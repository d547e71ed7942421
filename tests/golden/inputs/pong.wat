;; Exports `pong`, and imports `ping`.
(component $pong
  (import "ping" (func $ping))
  (core func $ping' (canon lower (func $ping)))
  (core module $m
    (import "" "ping" (func $ping))
    (func (export "pong") (call $ping)))
  (core instance $i (instantiate $m (with "" (instance (export "ping" (func $ping'))))))
  (func (export "pong") (canon lift (core func $i "pong"))))
