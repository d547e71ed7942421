;; The manifest says how each export is called; every section that `finish` writes can be left out.
;; meldc: --passes=finish
;; check: "meld.signature-manifest"
;; meldc: --passes=finish{signatures=false,provenance=false,lines=false}
;; not: meld.signature-manifest
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type (param "x" u32)))
  (func $f (@meld.owner $a) (export "f") (param i32)))
