;; One carrier of frames, and a pool that can be kept.
;; meldc: --passes=adapter-wiring,stack-switching{pool=-1}
;; error: `stack-switching` keeps 0 to 100000 stacks, not -1
;; meldc: --passes=adapter-wiring,stack-switching{size=8}
;; error: `stack-switching` has no option `size`
;; meldc: --passes=adapter-wiring,resumable-frames,stack-switching
;; error: the fact `resumable` holds
(module (@meld.facts linked merged))
