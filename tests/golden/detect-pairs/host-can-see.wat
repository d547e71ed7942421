;; A stream that an exported function takes can come from outside: the domain stays on the host, and the note says why.
;; meldc: --passes=detect-pairs
;; remark: stream of `a`, `b` stays on the host: the host can see it: export `play`
;; check: (@meld.domain $d0 (instances $a $b){{.*}}(why "the host can see it: export `play`"))
;; check: (@meld.pair (domain $d0) (producer $a) (consumer $b))
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.link (importer $b) (exporter $a))
  (@meld.streams $a (builtins stream.new stream.write) (type (stream)))
  (@meld.streams $b (builtins stream.read) (type (stream)))
  (@meld.export "play" (instance $b) (target $play) (type (param "s" (stream))))
  (func $play (@meld.owner $b) (param i32)))
