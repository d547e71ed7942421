;; Inputs are instantiated one after the other, exporters first; in a circle there is no first one.
;; meldc: {} ../inputs/pong.wat
;; error: the inputs import from each other in a circle: circle → pong
(component
  (import "pong" (func $pong))
  (core func $pong' (canon lower (func $pong)))
  (core module $m
    (import "" "pong" (func $pong))
    (func (export "ping") (call $pong)))
  (core instance $i (instantiate $m (with "" (instance (export "pong" (func $pong'))))))
  (func (export "ping") (canon lift (core func $i "ping"))))
