;; Function bodies in bulk: finds the indices in them, and writes them with other indices.
;;
;; What follows each opcode is a plan: up to four steps of a byte each, lowest first, in a table that is made from the
;; same instruction table as everything else. Memory, as laid out by the caller:
;;
;;   0      per index space k, 16 bytes: map (address of u32 per index), count, stamps (address of u32 per index), 0
;;   128    plans of opcodes without prefix (256 × u32), then those of prefix FB, FC, FD, FE (512 × u32 each)
;;   9344   per byte up to 127: 1 if it is an abstract heap type, 2 if it is a number or vector, else 0
;;   above  maps, stamps, the code of a section (size and body of each function), and what is written
;;
;; Steps: 0 done, 1 LEB of 32 bits, 2 signed LEB of 64, 3 one byte, 4 four bytes, 5 eight, 6 sixteen, 7 labels,
;; 8 heap type, 9 value types, 10 catches, 11 memory argument, 12 block type, 13 open, 14 close, 15 cast,
;; 16+k index of space k (0 types, 1 functions, 2 tables, 3 memories, 4 globals, 5 tags, 6 elements, 7 datas),
;; 24 signed LEB of 32 bits, 25 prefix: the opcode follows, 26 a byte that is zero, 255 unknown opcode.
;;
;; Numbers that take more bytes than they need are written in the shortest form. Malformed input traps; the caller then
;; has the Python reader say what is wrong, and where. So do other spellings that the encoder does not use.
(module
  (memory (export "memory") 1)
  (global $in (mut i32) (i32.const 0))      ;; next byte to read
  (global $end (mut i32) (i32.const 0))     ;; end of the body
  (global $from (mut i32) (i32.const 0))    ;; first byte that is read and not yet written
  (global $out (mut i32) (i32.const 0))     ;; next byte to write
  (global $limit (mut i32) (i32.const 0))   ;; end of the room for writing
  (global $uses (mut i32) (i32.const 0))    ;; where the next use goes; 0 if uses are not wanted
  (global $stamp (mut i32) (i32.const 0))   ;; the number of the function, from 1
  (global $rewrite (mut i32) (i32.const 0)) ;; whether to write
  (global $plain (mut i32) (i32.const 0))   ;; whether a memory argument of memory 0 has nothing to be done
  (global $moved (mut i32) (i32.const 0))   ;; 64 if memory 0 becomes 1 to 127, so that flags get bit 6; else 0
  (global $memory0 (mut i32) (i32.const 0)) ;; what memory 0 becomes
  (global $names_data (export "names_data") (mut i32) (i32.const 0)) ;; whether a data segment was named

  ;; Who reads past the end of a body, which is in memory all the same, is found out when the body should be over.
  (func $u8 (result i32)
    (i32.load8_u (global.get $in))
    (global.set $in (i32.add (global.get $in) (i32.const 1))))

  ;; An unsigned LEB of 32 bits.
  (func $u32 (result i32)
    (local $in i32) (local $byte i32) (local $value i32) (local $shift i32)
    (local.set $in (global.get $in))
    (loop $more
      (local.set $byte (i32.load8_u (local.get $in)))
      (local.set $in (i32.add (local.get $in) (i32.const 1)))
      (local.set $value
        (i32.or (local.get $value) (i32.shl (i32.and (local.get $byte) (i32.const 127)) (local.get $shift))))
      (if (i32.ge_u (local.get $byte) (i32.const 128))
        (then
          (local.set $shift (i32.add (local.get $shift) (i32.const 7)))
          (br_if $more (i32.lt_u (local.get $shift) (i32.const 35)))
          (unreachable))))
    (if (i32.and (i32.eq (local.get $shift) (i32.const 28)) (i32.gt_u (local.get $byte) (i32.const 15)))
      (then (unreachable)))
    (global.set $in (local.get $in))
    (local.get $value))

  ;; Whether the LEB from `start` to where we are takes more bytes than it needs. `sign`: 0x40 if it is signed.
  (func $is_padded (param $start i32) (param $sign i32) (result i32)
    (if (i32.lt_u (i32.sub (global.get $in) (local.get $start)) (i32.const 2)) (then (return (i32.const 0))))
    (call $redundant (i32.sub (global.get $in) (i32.const 1)) (local.get $sign)))

  ;; Whether the last byte of a LEB, at `last`, says nothing that the one before does not say.
  (func $redundant (param $last i32) (param $sign i32) (result i32)
    (i32.eq
      (i32.and (i32.load8_u (local.get $last)) (i32.const 127))
      (select
        (i32.const 127)
        (i32.const 0)
        (i32.and (i32.load8_u (i32.sub (local.get $last) (i32.const 1))) (local.get $sign)))))

  ;; Traps if the last of all bytes that a LEB may have holds more than what is left: 4 bits, or 1 with ten bytes.
  (func $fits (param $byte i32) (param $bytes i32) (param $sign i32)
    (local $bits i32)
    (local.set $bits (select (i32.const 4) (i32.const 1) (i32.eq (local.get $bytes) (i32.const 5))))
    (if (local.get $sign)
      (then
        ;; 7 bits with a sign: nothing but signs from the highest bit on
        (local.set $byte (i32.shr_s (i32.shl (local.get $byte) (i32.const 25)) (i32.const 25)))
        (local.set $byte (i32.shr_s (local.get $byte) (i32.sub (local.get $bits) (i32.const 1))))
        (if (i32.gt_u (i32.add (local.get $byte) (i32.const 1)) (i32.const 1)) (then (unreachable))))
      (else (if (i32.shr_u (local.get $byte) (local.get $bits)) (then (unreachable))))))

  ;; A LEB of at most `bytes` bytes; a padded one is written in the shortest form. `sign`: 0x40 if it is signed.
  (func $leb (param $bytes i32) (param $sign i32)
    (local $start i32) (local $last i32)
    (local.set $start (global.get $in))
    (if (i32.lt_u (call $u8) (i32.const 128)) (then (return)))
    (loop $more
      (if (i32.ge_u (i32.sub (global.get $in) (local.get $start)) (local.get $bytes)) (then (unreachable)))
      (br_if $more (i32.ge_u (call $u8) (i32.const 128))))
    (local.set $last (i32.sub (global.get $in) (i32.const 1)))
    (if (i32.eq (i32.sub (global.get $in) (local.get $start)) (local.get $bytes))
      (then (call $fits (i32.load8_u (local.get $last)) (local.get $bytes) (local.get $sign))))
    (if (i32.eqz (global.get $rewrite)) (then (return)))
    (if (i32.eqz (call $is_padded (local.get $start) (local.get $sign))) (then (return)))
    (call $flush (local.get $start))
    (loop $more
      (local.set $last (i32.sub (local.get $last) (i32.const 1)))
      (if (i32.gt_u (local.get $last) (local.get $start))
        (then (br_if $more (call $redundant (local.get $last) (local.get $sign))))))
    (loop $more
      (if (i32.lt_u (local.get $start) (local.get $last))
        (then
          (call $put (i32.load8_u (local.get $start)))
          (local.set $start (i32.add (local.get $start) (i32.const 1)))
          (br $more))))
    (call $put (i32.and (i32.load8_u (local.get $last)) (i32.const 127)))
    (global.set $from (global.get $in)))

  ;; The length of a vector, or an opcode behind its prefix.
  (func $count (result i32)
    (local $start i32)
    (local.set $start (global.get $in))
    (call $u32)
    (if (global.get $rewrite)
      (then (if (call $is_padded (local.get $start) (i32.const 0)) (then (unreachable))))))

  (func $put (param $byte i32)
    (i32.store8 (global.get $out) (local.get $byte))
    (global.set $out (i32.add (global.get $out) (i32.const 1))))

  (func $put_unsigned (param $value i32)
    (loop $more
      (if (i32.lt_u (local.get $value) (i32.const 128)) (then (call $put (local.get $value)) (return)))
      (call $put (i32.or (local.get $value) (i32.const 128)))
      (local.set $value (i32.shr_u (local.get $value) (i32.const 7)))
      (br $more)))

  ;; A non-negative number as a signed LEB.
  (func $put_signed (param $value i32)
    (loop $more
      (if (i32.lt_u (local.get $value) (i32.const 64)) (then (call $put (local.get $value)) (return)))
      (call $put (i32.or (local.get $value) (i32.const 128)))
      (local.set $value (i32.shr_u (local.get $value) (i32.const 7)))
      (br $more)))

  ;; Writes what was read up to `until` and not yet written. Most stretches are short: those are copied by words, the
  ;; last of which may take some bytes more.
  (func $flush (param $until i32)
    (local $size i32) (local $from i32) (local $to i32)
    (local.set $from (global.get $from))
    (local.set $to (global.get $out))
    (local.set $size (i32.sub (local.get $until) (local.get $from)))
    ;; 24: what a site takes at most, and a word
    (if (i32.gt_u (i32.add (local.get $size) (i32.const 24)) (i32.sub (global.get $limit) (local.get $to)))
      (then (unreachable)))
    (global.set $out (i32.add (local.get $to) (local.get $size)))
    (global.set $from (local.get $until))
    (if (i32.gt_u (local.get $size) (i32.const 64))
      (then (memory.copy (local.get $to) (local.get $from) (local.get $size)) (return)))
    (loop $more
      (i64.store (local.get $to) (i64.load (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 8)))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))
      (br_if $more (i32.lt_u (local.get $to) (global.get $out)))))

  ;; Whether an index that stood from `start` to where we are takes more bytes than it needs.
  (func $site_is_padded (param $start i32) (param $index i32) (param $form i32) (result i32)
    (if (i32.eq (i32.sub (global.get $in) (local.get $start)) (i32.const 1)) (then (return (i32.const 0))))
    (if (i32.lt_s (local.get $form) (i32.const 0))
      (then
        (return
          (call $is_padded (local.get $start) (i32.shl (i32.eq (local.get $form) (i32.const -2)) (i32.const 6))))))
    ;; a memory argument: the flags take a byte, and memory 0 need not be named
    (if (i32.or (i32.eqz (local.get $index)) (i32.ge_u (i32.load8_u (local.get $start)) (i32.const 128)))
      (then (return (i32.const 1))))
    (call $is_padded (i32.add (local.get $start) (i32.const 1)) (i32.const 0)))

  ;; An index of space `space` that stood from `start` to where we are. `form`: −1 unsigned, −2 signed, else the flags
  ;; of a memory argument.
  (func $site (param $space i32) (param $start i32) (param $index i32) (param $form i32)
    (local $row i32) (local $stamp i32) (local $new i32)
    (local.set $row (i32.shl (local.get $space) (i32.const 4)))
    (if (i32.ge_u (local.get $index) (i32.load offset=4 (local.get $row))) (then (unreachable)))
    (if (global.get $uses)
      (then
        (local.set $stamp (i32.add (i32.load offset=8 (local.get $row)) (i32.shl (local.get $index) (i32.const 2))))
        (if (i32.ne (i32.load (local.get $stamp)) (global.get $stamp))
          (then
            (i32.store (local.get $stamp) (global.get $stamp))
            (if (i32.ge_u (global.get $uses) (global.get $limit)) (then (unreachable)))
            (i32.store (global.get $uses) (i32.or (i32.shl (local.get $space) (i32.const 28)) (local.get $index)))
            (global.set $uses (i32.add (global.get $uses) (i32.const 4)))))))
    (if (i32.eqz (global.get $rewrite)) (then (return)))
    (if (i32.eq (local.get $space) (i32.const 7)) (then (global.set $names_data (i32.const 1))))
    (local.set $new (i32.load (i32.add (i32.load (local.get $row)) (i32.shl (local.get $index) (i32.const 2)))))
    (if (i32.eq (local.get $new) (local.get $index))
      (then
        (if (i32.eqz (call $site_is_padded (local.get $start) (local.get $index) (local.get $form))) (then (return)))))
    (if (i32.eq (local.get $new) (i32.const -1)) (then (unreachable)))
    (call $flush (local.get $start))
    (global.set $from (global.get $in))
    (if (i32.eq (local.get $form) (i32.const -1))
      (then (call $put_unsigned (local.get $new)))
      (else
        (if (i32.eq (local.get $form) (i32.const -2))
          (then (call $put_signed (local.get $new)))
          (else
            (if (local.get $new)
              (then
                (call $put_unsigned (i32.or (local.get $form) (i32.const 64)))
                (call $put_unsigned (local.get $new)))
              (else (call $put_unsigned (local.get $form)))))))))

  ;; What becomes of memory 0, which nearly all memory arguments mean, if anything is known.
  (func $look_at_memory
    (global.set $plain (i32.const 0))
    (global.set $moved (i32.const 0))
    (if (i32.eqz (global.get $rewrite)) (then (return)))
    (if (i32.eqz (i32.load offset=52 (i32.const 0))) (then (return)))
    (global.set $memory0 (i32.load (i32.load offset=48 (i32.const 0))))
    (global.set $plain (i32.eqz (global.get $memory0)))
    (global.set $moved
      (i32.shl (i32.lt_u (i32.sub (global.get $memory0) (i32.const 1)) (i32.const 127)) (i32.const 6))))

  (func $index (param $space i32)
    (local $start i32)
    (local.set $start (global.get $in))
    (call $site (local.get $space) (local.get $start) (call $u32) (i32.const -1)))

  (func $memarg
    (local $start i32) (local $flags i32) (local $memory i32)
    (local.set $start (global.get $in))
    (local.set $flags (call $u32))
    (if (i32.lt_u (local.get $flags) (global.get $moved))
      (then
        (call $flush (local.get $start))
        (i32.store8 (global.get $out) (i32.or (local.get $flags) (i32.const 64)))
        (i32.store8 offset=1 (global.get $out) (global.get $memory0))
        (global.set $out (i32.add (global.get $out) (i32.const 2)))
        (global.set $from (global.get $in))
        (call $leb (i32.const 10) (i32.const 0))
        (return)))
    (if (i32.ge_u (local.get $flags) (i32.const 128)) (then (unreachable)))
    (if (i32.and (local.get $flags) (i32.const 64)) (then (local.set $memory (call $u32))))
    (call $site (i32.const 3) (local.get $start) (local.get $memory) (i32.and (local.get $flags) (i32.const 63)))
    ;; that memory 0 is used is said once for each function
    (if (global.get $uses) (then (global.set $plain (i32.or (global.get $plain) (i32.eqz (local.get $memory))))))
    (call $leb (i32.const 10) (i32.const 0)))

  ;; What kind of type a byte up to 127 means.
  (func $kind (param $byte i32) (result i32)
    (i32.load8_u offset=9344 (local.get $byte)))

  ;; A heap type, or a block type that is not a value type: a signed LEB of 33 bits. Not negative: a type index.
  ;; Returns the new index of the type, −1 for an abstract heap type.
  (func $heap (result i32)
    (local $start i32) (local $byte i32) (local $value i32) (local $shift i32)
    (local.set $start (global.get $in))
    (loop $more
      (local.set $byte (call $u8))
      (local.set $value
        (i32.or (local.get $value) (i32.shl (i32.and (local.get $byte) (i32.const 127)) (local.get $shift))))
      (local.set $shift (i32.add (local.get $shift) (i32.const 7)))
      (if (i32.ge_u (local.get $byte) (i32.const 128))
        (then
          (if (i32.eq (local.get $shift) (i32.const 35)) (then (unreachable)))
          (br $more))))
    (if (i32.and (local.get $byte) (i32.const 64))
      (then
        (if (i32.gt_u (local.get $shift) (i32.const 7)) (then (unreachable)))
        (if (i32.ne (call $kind (local.get $byte)) (i32.const 1)) (then (unreachable)))
        (return (i32.const -1))))
    (if (i32.and (i32.eq (local.get $shift) (i32.const 35)) (i32.gt_u (local.get $byte) (i32.const 15)))
      (then (unreachable)))
    (call $site (i32.const 0) (local.get $start) (local.get $value) (i32.const -2))
    (i32.load (i32.add (i32.load (i32.const 0)) (i32.shl (local.get $value) (i32.const 2)))))

  ;; A value type. Returns what it will be: its byte, and above that one more than the new index of a type it names.
  (func $valtype (result i32)
    (local $byte i32) (local $heap i32)
    (local.set $byte (call $u8))
    (if (i32.eq (i32.or (local.get $byte) (i32.const 7)) (i32.const 0x67))
      (then
        (if (i32.ge_u (i32.sub (local.get $byte) (i32.const 0x63)) (i32.const 2)) (then (unreachable)))
        (local.set $heap (i32.add (call $heap) (i32.const 1)))
        ;; there is a shorter form for what is nullable and abstract
        (if (i32.and (i32.eqz (local.get $heap)) (i32.eq (local.get $byte) (i32.const 0x63))) (then (unreachable)))
        (return (i32.or (local.get $byte) (i32.shl (local.get $heap) (i32.const 8))))))
    (if (i32.gt_u (local.get $byte) (i32.const 127)) (then (unreachable)))
    (if (i32.eqz (call $kind (local.get $byte))) (then (unreachable)))
    (local.get $byte))

  (func $block_type
    (local $byte i32)
    (local.set $byte (i32.load8_u (global.get $in)))
    (if (i32.or (i32.lt_u (local.get $byte) (i32.const 64)) (i32.ge_u (local.get $byte) (i32.const 128)))
      (then (drop (call $heap)) (return)))
    (if (i32.eq (local.get $byte) (i32.const 64)) (then (drop (call $u8)) (return)))
    (drop (call $valtype)))

  (func $labels
    (local $count i32)
    (local.set $count (call $count))
    (if (i32.gt_u (local.get $count) (i32.sub (global.get $end) (global.get $in))) (then (unreachable)))
    (loop $more
      (call $leb (i32.const 5) (i32.const 0))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $more (i32.ge_s (local.get $count) (i32.const 0)))))

  (func $valtypes
    (local $count i32)
    (local.set $count (call $count))
    (loop $more
      (if (local.get $count)
        (then
          (drop (call $valtype))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $more)))))

  (func $catches
    (local $count i32) (local $kind i32)
    (local.set $count (call $count))
    (loop $more
      (if (local.get $count)
        (then
          (local.set $kind (call $u8))
          (if (i32.gt_u (local.get $kind) (i32.const 3)) (then (unreachable)))
          (if (i32.lt_u (local.get $kind) (i32.const 2)) (then (call $index (i32.const 5))))
          (call $leb (i32.const 5) (i32.const 0))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $more)))))

  ;; The plan of an instruction behind a prefix.
  (func $prefixed (param $prefix i32) (result i32)
    (local $code i32)
    (local.set $code (call $count))
    (if (i32.ge_u (local.get $code) (i32.const 512)) (then (unreachable)))
    (i32.load offset=1152
      (i32.add
        (i32.mul (i32.sub (local.get $prefix) (i32.const 0xfb)) (i32.const 2048))
        (i32.shl (local.get $code) (i32.const 2)))))

  ;; The body between `in` and `end`: local declarations, then instructions to the `end` that closes the function.
  (func $body
    (local $depth i32) (local $type i32) (local $last i32) (local $locals i32) (local $some i32)
    (local.set $depth (call $count))
    (loop $locals
      (if (local.get $depth)
        (then
          ;; a run of no locals, or two runs of one type: not what the encoder writes
          (local.set $some (call $count))
          (if (i32.and (i32.eqz (local.get $some)) (global.get $rewrite)) (then (unreachable)))
          (if (i32.gt_u (local.get $some) (i32.const 50000)) (then (unreachable)))
          (local.set $locals (i32.add (local.get $locals) (local.get $some)))
          (if (i32.gt_u (local.get $locals) (i32.const 50000)) (then (unreachable)))
          (local.set $type (call $valtype))
          (if (i32.and (i32.eq (local.get $type) (local.get $last)) (global.get $rewrite)) (then (unreachable)))
          (local.set $last (local.get $type))
          (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
          (br $locals))))
    (call $code))

  ;; Instructions to the `end` that closes the function. What occurs most is done here, with `in` in a local; the rest,
  ;; and what is not in its shortest form, by the functions above. That `in` is before `end` is checked once for each
  ;; instruction: who reads past it ends behind it.
  (func $code
    (local $in i32) (local $end i32) (local $depth i32) (local $plan i32) (local $byte i32)
    (local.set $in (global.get $in))
    (local.set $end (global.get $end))
    (local.set $depth (i32.const 1))
    (block $done
      (loop $next
        (if (i32.ge_u (local.get $in) (local.get $end)) (then (unreachable)))
        (local.set $byte (i32.load8_u (local.get $in)))
        (local.set $in (i32.add (local.get $in) (i32.const 1)))
        (local.set $plan (i32.load offset=128 (i32.shl (local.get $byte) (i32.const 2))))
        (loop $steps
          (br_if $next (i32.eqz (local.get $plan)))
          (block $unknown (block $slow (block $prefix (block $close (block $open (block $block (block $memarg
            (block $b16 (block $b8 (block $b4 (block $b1 (block $leb
              (br_table
                $unknown $leb $leb $b1 $b4 $b8 $b16 $slow ;; 0 to 7
                $slow $slow $slow $memarg $block $open $close $slow ;; 8 to 15
                $slow $slow $slow $slow $slow $slow $slow $slow ;; 16 to 23: an index
                $leb $prefix $slow $unknown
                (i32.and (local.get $plan) (i32.const 255))))
              ;; a number of one byte
              (br_if $slow (i32.ge_u (i32.load8_u (local.get $in)) (i32.const 128)))
              (local.set $in (i32.add (local.get $in) (i32.const 1)))
              (local.set $plan (i32.shr_u (local.get $plan) (i32.const 8)))
              (br $steps))
              (local.set $in (i32.add (local.get $in) (i32.const 1)))
              (local.set $plan (i32.shr_u (local.get $plan) (i32.const 8)))
              (br $steps))
              (local.set $in (i32.add (local.get $in) (i32.const 4)))
              (local.set $plan (i32.shr_u (local.get $plan) (i32.const 8)))
              (br $steps))
              (local.set $in (i32.add (local.get $in) (i32.const 8)))
              (local.set $plan (i32.shr_u (local.get $plan) (i32.const 8)))
              (br $steps))
              (local.set $in (i32.add (local.get $in) (i32.const 16)))
              (local.set $plan (i32.shr_u (local.get $plan) (i32.const 8)))
              (br $steps))
            ;; memory 0 that stays memory 0, and an offset of one byte
            (br_if $slow (i32.eqz (global.get $plain)))
            (br_if $slow (i32.ge_u (i32.load8_u (local.get $in)) (i32.const 64)))
            (br_if $slow (i32.ge_u (i32.load8_u offset=1 (local.get $in)) (i32.const 128)))
            (local.set $in (i32.add (local.get $in) (i32.const 2)))
            (local.set $plan (i32.shr_u (local.get $plan) (i32.const 8)))
            (br $steps))
            ;; no result, or a number or vector
            (local.set $byte (i32.load8_u (local.get $in)))
            (br_if $slow
              (i32.eqz
                (i32.or
                  (i32.eq (local.get $byte) (i32.const 0x40))
                  (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x7b)) (i32.const 5)))))
            (local.set $in (i32.add (local.get $in) (i32.const 1)))
            (local.set $plan (i32.shr_u (local.get $plan) (i32.const 8)))
            (br $steps))
            (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
            (local.set $plan (i32.shr_u (local.get $plan) (i32.const 8)))
            (br $steps))
            (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
            (br_if $next (local.get $depth))
            (br $done))
          (global.set $in (local.get $in))
          (local.set $plan (call $prefixed (local.get $byte)))
          (local.set $in (global.get $in))
          (br $steps))
          (global.set $in (local.get $in))
          (call $step (i32.and (local.get $plan) (i32.const 255)))
          (local.set $in (global.get $in))
          (local.set $plan (i32.shr_u (local.get $plan) (i32.const 8)))
          (br $steps))
          (unreachable))))
    (if (i32.ne (local.get $in) (local.get $end)) (then (unreachable)))
    (global.set $in (local.get $in)))

  ;; One step of a plan, whatever form it has.
  (func $step (param $step i32)
    (if (i32.lt_u (i32.sub (local.get $step) (i32.const 16)) (i32.const 8))
      (then (call $index (i32.sub (local.get $step) (i32.const 16))) (return)))
    (block $l32s (block $cast (block $block (block $memarg (block $catches (block $types (block $heap (block $labels
      (block $l64 (block $l32 (block $zero (block $other
        (br_table
          $other $l32 $l64 $other $other $other $other $labels $heap $types $catches $memarg $block $other $other $cast
          $other $other $other $other $other $other $other $other $l32s $other $zero $other
          (local.get $step)))
        (unreachable))
        (if (call $u8) (then (unreachable))) (return))
        (call $leb (i32.const 5) (i32.const 0)) (return))
        (call $leb (i32.const 10) (i32.const 0x40)) (return))
        (call $labels) (return))
        (drop (call $heap)) (return))
        (call $valtypes) (return))
        (call $catches) (return))
        (call $memarg) (return))
        (call $block_type) (return))
      ;; cast: flags, label, two heap types
      (if (i32.gt_u (call $u8) (i32.const 3)) (then (unreachable)))
      (call $leb (i32.const 5) (i32.const 0))
      (drop (call $heap))
      (drop (call $heap))
      (return))
    (call $leb (i32.const 5) (i32.const 0x40)))

  ;; Goes through `count` functions from `code` on. Returns the end of what was written.
  ;;
  ;; `keep`: a byte per function, 0 to leave it out (address 0: all are kept). `rows`: per function four u32: start and
  ;; length of the body, end of what was written, end of its uses. Either `out` is where to write, or `uses` is where to
  ;; list uses (space << 28 | index, each once per function); the other is 0, and `limit` is the end of the room.
  (func (export "run")
    (param $code i32) (param $count i32) (param $keep i32) (param $rows i32)
    (param $out i32) (param $limit i32) (param $uses i32) (result i32)
    (local $number i32) (local $size i32) (local $start i32) (local $body i32) (local $width i32)
    (global.set $in (local.get $code))
    (global.set $out (local.get $out))
    (global.set $rewrite (i32.ne (local.get $out) (i32.const 0)))
    (global.set $limit (local.get $limit))
    (global.set $uses (local.get $uses))
    (global.set $names_data (i32.const 0))
    (loop $functions
      (if (i32.lt_u (local.get $number) (local.get $count))
        (then
          (global.set $end (i32.const -1))
          (local.set $size (call $u32))
          (local.set $start (global.get $in))
          (global.set $end (i32.add (local.get $start) (local.get $size)))
          (i32.store (local.get $rows) (i32.sub (local.get $start) (local.get $code)))
          (i32.store offset=4 (local.get $rows) (local.get $size))
          (if (if (result i32) (local.get $keep)
                (then (i32.load8_u (i32.add (local.get $keep) (local.get $number))))
                (else (i32.const 1)))
            (then
              (global.set $stamp (i32.add (global.get $stamp) (i32.const 1)))
              (call $look_at_memory)
              (local.set $body (i32.add (global.get $out) (i32.const 5)))
              (global.set $out (local.get $body))
              (global.set $from (local.get $start))
              (call $body)
              (if (global.get $rewrite)
                (then
                  (call $flush (global.get $end))
                  (local.set $size (i32.sub (global.get $out) (local.get $body)))
                  (global.set $out (i32.sub (local.get $body) (i32.const 5)))
                  (call $put_unsigned (local.get $size))
                  (memory.copy (global.get $out) (local.get $body) (local.get $size))
                  (global.set $out (i32.add (global.get $out) (local.get $size)))))))
          (global.set $in (global.get $end))
          (i32.store offset=8 (local.get $rows) (global.get $out))
          (i32.store offset=12 (local.get $rows) (global.get $uses))
          (local.set $rows (i32.add (local.get $rows) (i32.const 16)))
          (local.set $number (i32.add (local.get $number) (i32.const 1)))
          (br $functions))))
    (global.get $out))
)
