;; Orders that cannot work are refused before anything runs.
;; meldc: --passes=emit-bridge,detect-pairs
;; error: `emit-bridge` needs the fact `stream-pairs`, which `detect-pairs` establishes only later
;; meldc: --passes=detect-pairs,emit-bridge{slot=3}
;; error: `emit-bridge` has no option `slot`
;; meldc: --passes=finish,merge
;; error: `merge` reads a component, but gets a module here
;; meldc: --passes=finsh
;; error: unknown pass `finsh`
(module (@meld.facts linked merged))
