;; Where the world of the program could not be written down, the error says why.
;; meldc: --passes=finish,wrap
;; error: cannot be wrapped: it shows too many things
;; hint: fuse to a core module, with --emit=wasm
(module
  (@meld.facts linked merged)
  (@meld.no-world "it shows too many things")
  (@meld.instance $a)
  (func (@meld.owner $a) (export "f")))
