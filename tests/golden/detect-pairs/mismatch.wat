;; One instance writes and its partner reads, but of different element types: no stream of theirs can ever meet.
;; meldc: --passes=detect-pairs
;; error: `a` writes stream u8, but `b`, which is linked to it as `link`, reads stream u16
;; hint: both ends of a stream have one element type
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.link (importer $b) (exporter $a))
  (@meld.streams $a (builtins stream.write) (type (stream u8)))
  (@meld.streams $b (builtins stream.read) (type (stream u16))))
