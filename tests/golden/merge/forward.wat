;; `stream.forward` is read and validated, but not fused.
;; meldc:
;; error: pass merge: the canonical built-in `stream.forward` cannot be fused: engines refuse it, too, unless they are told otherwise
;; hint: read the elements and write them, or pass the readable end itself
(component
  (type $s (stream u8))
  (core func $forward (canon stream.forward $s))
  (core module $m (import "" "forward" (func (param i32 i32))))
  (core instance (instantiate $m (with "" (instance (export "forward" (func $forward)))))))
