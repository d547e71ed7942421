;; The bridge copies bytes. Elements that hold pointers mean something in one memory only, so their domain stays outside.
;; meldc: --passes=detect-pairs
;; check: (@meld.domain $d0 {{.*}}(element string){{.*}}(why "its elements hold pointers or handles, which cannot be copied as bytes"))
;; check: (@meld.domain $d1 {{.*}}(element (tuple u32 u32)) (size 8)
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.link (importer $b) (exporter $a))
  (@meld.streams $a (builtins stream.write) (type (stream string)))
  (@meld.streams $b (builtins stream.read) (type (stream string)))
  (@meld.streams $a (builtins stream.write) (type (stream (tuple u32 u32))))
  (@meld.streams $b (builtins stream.read) (type (stream (tuple u32 u32)))))
