;; Where the world of the program cannot be written down, the error says why.
;; meldc: --emit=component
;; error: cannot be wrapped: exports the component or instance type `x`, which fusion cannot keep
;; hint: fuse to a core module, with --emit=wasm
(component
  (type $x (component))
  (export "x" (type $x)))
