;; There is nothing to rebind to before emit-bridge has run, and the pass manager says so before anything runs.
;; meldc: --passes=rewire-calls
;; error: `rewire-calls` needs the fact `stream-bridge`
;; meldc: --passes=detect-pairs,rewire-calls,emit-bridge
;; error: `rewire-calls` needs the fact `stream-bridge`, which `emit-bridge` establishes only later
(module (@meld.facts linked merged))
