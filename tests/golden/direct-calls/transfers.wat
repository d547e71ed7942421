;; Reads and writes of the runtime are inlined where one or two places call them, loops included; three places share.
;; meldc: --passes=direct-calls,finish{lines=false,provenance=false,signatures=false}
;; not: (func $a/stream.read
;; check: (func $run
;; not: call $a/stream.read
;; check: loop
;; check: i32.load offset=4
;; check: call $a/stream.write
;; check: call $a/stream.write
;; check: call $a/stream.write
;; check: (func $a/stream.write
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (memory $m (@meld.owner $a) 1)
  (func $run (@meld.owner $a) (export "run") (param $n i32) (result i32)
    (local $sum i32)
    (loop $more
      (local.set $sum
        (i32.add (local.get $sum) (call $a/stream.read (i32.const 1) (i32.const 8) (local.get $n))))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (drop (call $a/stream.write (i32.const 2) (i32.const 8) (i32.const 1)))
    (drop (call $a/stream.write (i32.const 2) (i32.const 9) (i32.const 1)))
    (drop (call $a/stream.write (i32.const 2) (i32.const 10) (i32.const 1)))
    (local.get $sum))
  (func $a/stream.read (@meld.owner $a) (@meld.synthetic async)
    (@meld.canon stream.read (instance $a) (type (stream u8)) (options (memory $m) async))
    (param $handle i32) (param $ptr i32) (param $n i32) (result i32)
    (local $once i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const -1))))
    (local.set $once (i32.add (local.get $once) (local.get $handle)))
    (i32.add (local.get $once) (i32.load offset=4 (local.get $ptr))))
  (func $a/stream.write (@meld.owner $a) (@meld.synthetic async)
    (@meld.canon stream.write (instance $a) (type (stream u8)) (options (memory $m) async))
    (param $handle i32) (param $ptr i32) (param $n i32) (result i32)
    (i32.store (local.get $ptr) (local.get $n))
    (local.get $handle)))
