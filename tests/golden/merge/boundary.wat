;; A lifted function that another instance lowers is a boundary: an import, with what an adapter has to know in a note.
;; meldc: --stop-after=merge
;; check: (import "meld:boundary" "app->lib/f" (func $app/lib/f (@meld.owner $app) (@meld.boundary (caller $app) (callee $lib)
;; check: call $app/lib/f
(component
  (component $lib
    (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m))
    (func (export "f") (param "c" char) (result char) (canon lift (core func $i "f"))))
  (component $app
    (import "f" (func $f (param "c" char) (result char)))
    (core func $f' (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "run") (result i32) (call $f (i32.const 65))))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
    (func (export "run") (result char) (canon lift (core func $i "run"))))
  (instance $lib (instantiate $lib))
  (instance $app (instantiate $app (with "f" (func $lib "f"))))
  (export "run" (func $app "run")))
