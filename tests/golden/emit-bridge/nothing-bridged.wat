;; Without a bridged domain there is no bridge: the module gets the fact, and nothing else.
;; meldc: --passes=detect-pairs,emit-bridge
;; remark: no stream domain is bridged; no bridge is added
;; output:
;;   (module
;;     (@meld.facts linked merged stream-pairs stream-bridge)
;;     (@meld.instance $a)
;;     (@meld.streams $a (builtins stream.read) (type (stream u8)))
;;     (@meld.domain $d0 (instances $a) (element u8) (why "no instance writes what another one reads"))
;;   )
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.streams $a (builtins stream.read) (type (stream u8))))
