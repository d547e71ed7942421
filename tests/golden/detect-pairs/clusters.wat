;; Two linked instances of one stream type are a pair if one writes what the other reads.
;; meldc: --passes=detect-pairs
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.instance $alone)
  (@meld.link (importer $b) (exporter $a))
  (@meld.streams $a (builtins stream.new stream.write) (type (stream u8)))
  (@meld.streams $b (builtins stream.new stream.read) (type (stream u8)))
  (@meld.streams $alone (builtins stream.read) (type (stream u16))))
;; output:
;;   (module
;;     (@meld.facts linked merged stream-pairs)
;;     (@meld.instance $a)
;;     (@meld.instance $b)
;;     (@meld.instance $alone)
;;     (@meld.link (importer $b) (exporter $a))
;;     (@meld.streams $a (builtins stream.new stream.write) (type (stream u8)))
;;     (@meld.streams $b (builtins stream.new stream.read) (type (stream u8)))
;;     (@meld.streams $alone (builtins stream.read) (type (stream u16)))
;;     (@meld.domain $d0 (instances $a $b) (element u8) (why "`a` does not import pulseengine:async"))
;;     (@meld.pair (domain $d0) (producer $a) (consumer $b))
;;     (@meld.domain $d1 (instances $alone) (element u16) (size 2) (cluster 1) (why "no instance writes what another one reads"))
;;   )
