;; An instance's intrinsics carry all its streams: a domain that the host can see keeps others on the host that share an
;; instance with it.
;; meldc: --passes=detect-pairs
;; remark: stream u8 of `a`, `b` stays on the host: the host can see it: export `play`
;; remark: stream u16 of `b`, `c` stays on the host: `b` uses the same intrinsics for stream u8, which stays on the host
;; check: (@meld.domain $d0 (instances $a $b) {{.*}}(why "the host can see it
;; check: (@meld.domain $d1 (instances $b $c) {{.*}}(why "`b` uses the same
;; check: (@meld.domain $d2 (instances $b $c) {{.*}}(carried bridge))
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.instance $c)
  (@meld.link (importer $b) (exporter $a))
  (@meld.link (importer $c) (exporter $b))
  (@meld.streams $a (builtins stream.new stream.write) (type (stream u8)))
  (@meld.streams $b (builtins stream.read) (type (stream u8)))
  (@meld.streams $b (builtins stream.new stream.write) (type (stream u16)))
  (@meld.streams $c (builtins stream.read) (type (stream u16)))
  (@meld.streams $b (builtins future.new future.write) (type (future u8)))
  (@meld.streams $c (builtins future.read) (type (future u8)))
  (@meld.export "play" (instance $b) (target $play) (type (param "s" (stream u8))))
  (import "pulseengine:async" "stream_new" (func $a/new (@meld.owner $a) (@meld.intrinsic stream_new (instance $a)) (result i64)))
  (import "pulseengine:async" "stream_new" (func $b/new (@meld.owner $b) (@meld.intrinsic stream_new (instance $b)) (result i64)))
  (import "pulseengine:async" "stream_new" (func $c/new (@meld.owner $c) (@meld.intrinsic stream_new (instance $c)) (result i64)))
  (func $play (@meld.owner $b) (param i32)))
