;; A core module is no component, and --emit=component makes none of it.
;; meldc: --emit=component
;; error: is a core module; --emit=component is for components
;; hint: `wasm-tools component new` makes a component of it
(module
  (@custom "component-type:app" "\00"))
