;; `waitable.join` is the host's, and knows the host's handles only: who joins its streams keeps them on the host.
;; meldc: --passes=detect-pairs
;; check: (@meld.domain $d0 (instances $a $b) {{.*}}(why "`b` joins its stream handles to a waitable set"))
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.link (importer $b) (exporter $a))
  (@meld.streams $a (builtins stream.write) (type (stream u8)))
  (@meld.streams $b (builtins stream.read) (type (stream u8)))
  (@meld.streams $b (builtins waitable.join)))
