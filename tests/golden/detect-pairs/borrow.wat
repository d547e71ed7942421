;; A borrow ends with the call that lends it, so it cannot travel in a stream.
;; meldc: --passes=detect-pairs
;; error: `a` has a stream (borrow $file): a borrow cannot travel in a stream or future
;; hint: send an own handle
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.resource $file (label "file") (owner $a))
  (@meld.streams $a (builtins stream.write) (type (stream (borrow $file)))))
