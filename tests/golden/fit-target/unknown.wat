;; meldc: --passes=fit-target{target=wasm4}
;; error: `fit-target` knows no target `wasm4`
(module (@meld.facts linked merged))
