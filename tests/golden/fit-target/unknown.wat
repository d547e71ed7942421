;; A target that is not known is refused, with those that are.
;; meldc: --passes=fit-target{target=wasm4}
;; error: `fit-target` knows no target `wasm4`
(module (@meld.facts linked merged))
