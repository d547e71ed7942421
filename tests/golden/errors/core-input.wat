;; A core module that says its world is one step short of a component.
;; meldc: {} ../inputs/math.wat
;; error: is a core module; only components can be linked
;; hint: `wasm-tools component new` makes a component of it
(module
  (@custom "component-type:app" "\00"))
