;; The stream bridge of one component instance: a shim for each stream intrinsic.
;;
;; Spliced once per instance in a bridged domain, with `bridge` bound to the state memory of the program, `memory` to the
;; instance's own memory and `host.*` to what the instance called before. Addresses are those of the instance's cluster, so
;; a handle of another cluster names nothing. An instance has one memory here: another `mem` than 0 traps where bytes move. The layout is that of specs/stream-contract.md:
;;
;;   slot s: header at {words} + 16·s   +0 wr: bytes ever written   +4 rd: bytes ever read   (wrapping u32)
;;                                +8 key: the readable handle while the slot is live, else 0
;;                                +12 state: generation << 2 | writer dropped << 1 | reader dropped
;;           ring at {rings} + {ring}·s
;;   handle: 1 | end | 0 | generation | slot       from bit 31 down; end is 1 for the writable end
;;
;; A key is compared whole, so one comparison checks tag, slot, generation, end and liveness. Headers are laid out for
;; {headers} slots, a power of two; those from {slots} on are never live.
;;
;; Reads and writes load key and state at once, and branch where n = min(…) could be selected: a processor then starts
;; the copy of len bytes before it knows the cursors.
(module
  (import "meld" "bridge" (memory $bridge {pages}))
  (import "meld" "memory" (memory $memory 0))
  (import "host" "stream_new" (func $host.stream_new (result i64)))
  (import "host" "stream_read" (func $host.stream_read (param i32 i32 i32 i32) (result i32)))
  (import "host" "stream_write" (func $host.stream_write (param i32 i32 i32 i32) (result i32)))
  (import "host" "stream_cancel_read" (func $host.stream_cancel_read (param i32) (result i32)))
  (import "host" "stream_cancel_write" (func $host.stream_cancel_write (param i32) (result i32)))
  (import "host" "stream_drop_readable" (func $host.stream_drop_readable (param i32)))
  (import "host" "stream_drop_writable" (func $host.stream_drop_writable (param i32)))

  (func $stream_read (export "stream_read") (param $handle i32) (param $ptr i32) (param $len i32) (param $mem i32) (result i32)
    (local $header i32) (local $key_state i64) (local $state i32) (local $rd i32) (local $n i32) (local $at i32) (local $last i32)
    (if (i32.ge_s (local.get $handle) (i32.const 0))
      (then
        (return
          (call $host.stream_read (local.get $handle) (local.get $ptr) (local.get $len) (local.get $mem)))))
    (local.set $header (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const 4)))
    (local.set $key_state (i64.load $bridge offset={key} (local.get $header)))
    (if (i32.ne (local.get $handle) (i32.wrap_i64 (local.get $key_state)))
      (then (return (i32.const -2))))
    (local.set $state (i32.wrap_i64 (i64.shr_u (local.get $key_state) (i64.const 32))))
    (if (i32.and (local.get $state) (i32.const 1))
      (then (return (i32.const -1))))
    ;; n = min(len, fill), in whole elements
    (local.set $rd (i32.load $bridge offset={read} (local.get $header)))
    (local.set $n (i32.sub (i32.load $bridge offset={words} (local.get $header)) (local.get $rd)))
    (local.set $len (i32.sub (local.get $len) (i32.rem_u (local.get $len) (i32.const {whole}))))
    (if (i32.ge_u (local.get $n) (local.get $len))
      (then (local.set $n (local.get $len))))
    (if (i32.eqz (local.get $n))
      ;; 0 is the end of the stream: nothing is left, and the writer is gone
      (then
        (return
          (select
            (i32.const 0)
            (i32.const -5)
            (i32.and
              (i32.eq (i32.load $bridge offset={words} (local.get $header)) (local.get $rd))
              (i32.shr_u (local.get $state) (i32.const 1)))))))
    (if (local.get $mem)
      (then (unreachable)))
    (local.set $at (i32.and (local.get $rd) (i32.const {ring_mask})))
    (if (i32.gt_u (i32.add (local.get $at) (local.get $n)) (i32.const {ring}))
      (then
        (return (call $read_around (local.get $handle) (local.get $header) (local.get $ptr) (local.get $n)))))
    (local.set $at
      (i32.add
        (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const {ring_bits}))
        (i32.add (local.get $at) (i32.const {rings}))))
    ;; Few bytes, up to {short}, are the first and the last 16, 8 or 4, which may overlap; beyond 32, 64 and 128 further
    ;; ones between them: quicker than a bulk copy. The load from the caller's memory traps before anything is stored.
    ;; Where addresses could wrap, the bulk copy traps or works.
    (block $bulk
      (br_if $bulk (i32.gt_u (local.get $n) (i32.const {short})))
      (br_if $bulk (i32.gt_u (local.get $ptr) (i32.const {furthest})))
      ;; with simd
      (if (i32.ge_u (local.get $n) (i32.const 16))
        (then
          (local.set $last (i32.sub (local.get $n) (i32.const 16)))
          (drop (v128.load $memory (i32.add (local.get $ptr) (local.get $last))))
          (v128.store $memory (local.get $ptr) (v128.load $bridge (local.get $at)))
          (v128.store $memory
            (i32.add (local.get $ptr) (local.get $last))
            (v128.load $bridge (i32.add (local.get $at) (local.get $last))))
          (if (i32.gt_u (local.get $n) (i32.const 32))
            (then
              (local.set $last (i32.sub (local.get $n) (i32.const 32)))
              (v128.store $memory offset=16 (local.get $ptr) (v128.load $bridge offset=16 (local.get $at)))
              (v128.store $memory
                (i32.add (local.get $ptr) (local.get $last))
                (v128.load $bridge (i32.add (local.get $at) (local.get $last))))
              (if (i32.gt_u (local.get $n) (i32.const 64))
                (then
                  (local.set $last (i32.sub (local.get $n) (i32.const 64)))
                  (v128.store $memory offset=32 (local.get $ptr) (v128.load $bridge offset=32 (local.get $at)))
                  (v128.store $memory offset=48 (local.get $ptr) (v128.load $bridge offset=48 (local.get $at)))
                  (v128.store $memory
                    (i32.add (local.get $ptr) (local.get $last))
                    (v128.load $bridge (i32.add (local.get $at) (local.get $last))))
                  (v128.store $memory offset=16
                    (i32.add (local.get $ptr) (local.get $last))
                    (v128.load $bridge offset=16 (i32.add (local.get $at) (local.get $last))))
                  (if (i32.gt_u (local.get $n) (i32.const 128))
                    (then
                      (local.set $last (i32.sub (local.get $n) (i32.const 128)))
                      (v128.store $memory offset=64 (local.get $ptr) (v128.load $bridge offset=64 (local.get $at)))
                      (v128.store $memory offset=80 (local.get $ptr) (v128.load $bridge offset=80 (local.get $at)))
                      (v128.store $memory offset=96 (local.get $ptr) (v128.load $bridge offset=96 (local.get $at)))
                      (v128.store $memory offset=112 (local.get $ptr) (v128.load $bridge offset=112 (local.get $at)))
                      (v128.store $memory
                        (i32.add (local.get $ptr) (local.get $last))
                        (v128.load $bridge (i32.add (local.get $at) (local.get $last))))
                      (v128.store $memory offset=16
                        (i32.add (local.get $ptr) (local.get $last))
                        (v128.load $bridge offset=16 (i32.add (local.get $at) (local.get $last))))
                      (v128.store $memory offset=32
                        (i32.add (local.get $ptr) (local.get $last))
                        (v128.load $bridge offset=32 (i32.add (local.get $at) (local.get $last))))
                      (v128.store $memory offset=48
                        (i32.add (local.get $ptr) (local.get $last))
                        (v128.load $bridge offset=48 (i32.add (local.get $at) (local.get $last))))))))))
          (i32.store $bridge offset={read} (local.get $header) (i32.add (local.get $rd) (local.get $n)))
          (return (local.get $n))))
      ;; end simd
      (if (i32.ge_u (local.get $n) (i32.const 8))
        (then
          (local.set $last (i32.sub (local.get $n) (i32.const 8)))
          (drop (i64.load $memory (i32.add (local.get $ptr) (local.get $last))))
          (i64.store $memory (local.get $ptr) (i64.load $bridge (local.get $at)))
          (i64.store $memory
            (i32.add (local.get $ptr) (local.get $last))
            (i64.load $bridge (i32.add (local.get $at) (local.get $last))))
          (i32.store $bridge offset={read} (local.get $header) (i32.add (local.get $rd) (local.get $n)))
          (return (local.get $n))))
      (br_if $bulk (i32.lt_u (local.get $n) (i32.const 4)))
      (local.set $last (i32.sub (local.get $n) (i32.const 4)))
      (drop (i64.load32_u $memory (i32.add (local.get $ptr) (local.get $last))))
      (i64.store32 $memory (local.get $ptr) (i64.load32_u $bridge (local.get $at)))
      (i64.store32 $memory
        (i32.add (local.get $ptr) (local.get $last))
        (i64.load32_u $bridge (i32.add (local.get $at) (local.get $last))))
      (i32.store $bridge offset={read} (local.get $header) (i32.add (local.get $rd) (local.get $n)))
      (return (local.get $n)))
    (memory.copy $memory $bridge (local.get $ptr) (local.get $at) (local.get $n))
    (i32.store $bridge offset={read} (local.get $header) (i32.add (local.get $rd) (local.get $n)))
    (local.get $n))

  ;; A read in two pieces, up to the end of the ring and from its start. The bounds come first, so that no piece moves
  ;; before the other one traps.
  (func $read_around (param $handle i32) (param $header i32) (param $ptr i32) (param $n i32) (result i32)
    (local $rd i32) (local $ring i32) (local $first i32)
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $n)))
          (i64.shl (i64.extend_i32_u (memory.size $memory)) (i64.const {page_bits})))
      (then (unreachable)))
    (local.set $rd (i32.load $bridge offset={read} (local.get $header)))
    (local.set $ring
      (i32.add
        (i32.const {rings})
        (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const {ring_bits}))))
    (local.set $first (i32.sub (i32.const {ring}) (i32.and (local.get $rd) (i32.const {ring_mask}))))
    (memory.copy $memory $bridge
      (local.get $ptr)
      (i32.add (local.get $ring) (i32.and (local.get $rd) (i32.const {ring_mask})))
      (local.get $first))
    (memory.copy $memory $bridge
      (i32.add (local.get $ptr) (local.get $first))
      (local.get $ring)
      (i32.sub (local.get $n) (local.get $first)))
    (i32.store $bridge offset={read} (local.get $header) (i32.add (local.get $rd) (local.get $n)))
    (local.get $n))

  (func $stream_write (export "stream_write") (param $handle i32) (param $ptr i32) (param $len i32) (param $mem i32) (result i32)
    (local $header i32) (local $key_state i64) (local $wr i32) (local $n i32) (local $at i32) (local $last i32)
    (local $w i64) (local $w_last i64)
    ;; with simd
    (local $v_last v128)
    ;; end simd
    (if (i32.ge_s (local.get $handle) (i32.const 0))
      (then
        (return
          (call $host.stream_write (local.get $handle) (local.get $ptr) (local.get $len) (local.get $mem)))))
    (local.set $header (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const 4)))
    (if (i32.ne
          (i32.xor (local.get $handle) (i32.const 0x40000000))
          (i32.wrap_i64 (local.tee $key_state (i64.load $bridge offset={key} (local.get $header)))))
      (then (return (i32.const -2))))
    (if (i32.and (i32.wrap_i64 (i64.shr_u (local.get $key_state) (i64.const 32))) (i32.const 3))
      (then (return (i32.const -1))))
    (local.set $wr (i32.load $bridge offset={words} (local.get $header)))
    ;; n = min(len, free), in whole elements
    (local.set $n
      (i32.sub
        (i32.const {ring})
        (i32.sub (local.get $wr) (i32.load $bridge offset={read} (local.get $header)))))
    (local.set $n (i32.sub (local.get $n) (i32.rem_u (local.get $n) (i32.const {unit}))))
    (local.set $len (i32.sub (local.get $len) (i32.rem_u (local.get $len) (i32.const {whole}))))
    (if (i32.ge_u (local.get $n) (local.get $len))
      (then (local.set $n (local.get $len))))
    (if (i32.eqz (local.get $n))
      (then (return (i32.const 0))))
    (if (local.get $mem)
      (then (unreachable)))
    (local.set $at (i32.and (local.get $wr) (i32.const {ring_mask})))
    (if (i32.gt_u (i32.add (local.get $at) (local.get $n)) (i32.const {ring}))
      (then
        (return (call $write_around (local.get $handle) (local.get $header) (local.get $ptr) (local.get $n)))))
    (local.set $at
      (i32.add
        (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const {ring_bits}))
        (i32.add (local.get $at) (i32.const {rings}))))
    ;; As in stream_read. The load of the last bytes traps before anything is stored.
    (block $bulk
      (br_if $bulk (i32.gt_u (local.get $n) (i32.const {short})))
      (br_if $bulk (i32.gt_u (local.get $ptr) (i32.const {furthest})))
      ;; with simd
      (if (i32.ge_u (local.get $n) (i32.const 16))
        (then
          (local.set $last (i32.sub (local.get $n) (i32.const 16)))
          (local.set $v_last (v128.load $memory (i32.add (local.get $ptr) (local.get $last))))
          (v128.store $bridge (local.get $at) (v128.load $memory (local.get $ptr)))
          (v128.store $bridge (i32.add (local.get $at) (local.get $last)) (local.get $v_last))
          (if (i32.gt_u (local.get $n) (i32.const 32))
            (then
              (local.set $last (i32.sub (local.get $n) (i32.const 32)))
              (v128.store $bridge offset=16 (local.get $at) (v128.load $memory offset=16 (local.get $ptr)))
              (v128.store $bridge
                (i32.add (local.get $at) (local.get $last))
                (v128.load $memory (i32.add (local.get $ptr) (local.get $last))))
              (if (i32.gt_u (local.get $n) (i32.const 64))
                (then
                  (local.set $last (i32.sub (local.get $n) (i32.const 64)))
                  (v128.store $bridge offset=32 (local.get $at) (v128.load $memory offset=32 (local.get $ptr)))
                  (v128.store $bridge offset=48 (local.get $at) (v128.load $memory offset=48 (local.get $ptr)))
                  (v128.store $bridge
                    (i32.add (local.get $at) (local.get $last))
                    (v128.load $memory (i32.add (local.get $ptr) (local.get $last))))
                  (v128.store $bridge offset=16
                    (i32.add (local.get $at) (local.get $last))
                    (v128.load $memory offset=16 (i32.add (local.get $ptr) (local.get $last))))
                  (if (i32.gt_u (local.get $n) (i32.const 128))
                    (then
                      (local.set $last (i32.sub (local.get $n) (i32.const 128)))
                      (v128.store $bridge offset=64 (local.get $at) (v128.load $memory offset=64 (local.get $ptr)))
                      (v128.store $bridge offset=80 (local.get $at) (v128.load $memory offset=80 (local.get $ptr)))
                      (v128.store $bridge offset=96 (local.get $at) (v128.load $memory offset=96 (local.get $ptr)))
                      (v128.store $bridge offset=112 (local.get $at) (v128.load $memory offset=112 (local.get $ptr)))
                      (v128.store $bridge
                        (i32.add (local.get $at) (local.get $last))
                        (v128.load $memory (i32.add (local.get $ptr) (local.get $last))))
                      (v128.store $bridge offset=16
                        (i32.add (local.get $at) (local.get $last))
                        (v128.load $memory offset=16 (i32.add (local.get $ptr) (local.get $last))))
                      (v128.store $bridge offset=32
                        (i32.add (local.get $at) (local.get $last))
                        (v128.load $memory offset=32 (i32.add (local.get $ptr) (local.get $last))))
                      (v128.store $bridge offset=48
                        (i32.add (local.get $at) (local.get $last))
                        (v128.load $memory offset=48 (i32.add (local.get $ptr) (local.get $last))))))))))
          (i32.store $bridge offset={words} (local.get $header) (i32.add (local.get $wr) (local.get $n)))
          (return (local.get $n))))
      ;; end simd
      (if (i32.ge_u (local.get $n) (i32.const 8))
        (then
          (local.set $last (i32.sub (local.get $n) (i32.const 8)))
          (local.set $w (i64.load $memory (local.get $ptr)))
          (local.set $w_last (i64.load $memory (i32.add (local.get $ptr) (local.get $last))))
          (i64.store $bridge (local.get $at) (local.get $w))
          (i64.store $bridge (i32.add (local.get $at) (local.get $last)) (local.get $w_last))
          (i32.store $bridge offset={words} (local.get $header) (i32.add (local.get $wr) (local.get $n)))
          (return (local.get $n))))
      (br_if $bulk (i32.lt_u (local.get $n) (i32.const 4)))
      (local.set $last (i32.sub (local.get $n) (i32.const 4)))
      (local.set $w (i64.load32_u $memory (local.get $ptr)))
      (local.set $w_last (i64.load32_u $memory (i32.add (local.get $ptr) (local.get $last))))
      (i64.store32 $bridge (local.get $at) (local.get $w))
      (i64.store32 $bridge (i32.add (local.get $at) (local.get $last)) (local.get $w_last))
      (i32.store $bridge offset={words} (local.get $header) (i32.add (local.get $wr) (local.get $n)))
      (return (local.get $n)))
    (memory.copy $bridge $memory (local.get $at) (local.get $ptr) (local.get $n))
    (i32.store $bridge offset={words} (local.get $header) (i32.add (local.get $wr) (local.get $n)))
    (local.get $n))

  ;; A write in two pieces: see read_around.
  (func $write_around (param $handle i32) (param $header i32) (param $ptr i32) (param $n i32) (result i32)
    (local $wr i32) (local $ring i32) (local $first i32)
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $n)))
          (i64.shl (i64.extend_i32_u (memory.size $memory)) (i64.const {page_bits})))
      (then (unreachable)))
    (local.set $wr (i32.load $bridge offset={words} (local.get $header)))
    (local.set $ring
      (i32.add
        (i32.const {rings})
        (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const {ring_bits}))))
    (local.set $first (i32.sub (i32.const {ring}) (i32.and (local.get $wr) (i32.const {ring_mask}))))
    (memory.copy $bridge $memory
      (i32.add (local.get $ring) (i32.and (local.get $wr) (i32.const {ring_mask})))
      (local.get $ptr)
      (local.get $first))
    (memory.copy $bridge $memory
      (local.get $ring)
      (i32.add (local.get $ptr) (local.get $first))
      (i32.sub (local.get $n) (local.get $first)))
    (i32.store $bridge offset={words} (local.get $header) (i32.add (local.get $wr) (local.get $n)))
    (local.get $n))

{include emit_bridge_ends.wat})
