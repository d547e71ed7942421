;; UTF-8 to UTF-16. The parameters in braces are as in strings.wat; {marks_k} is how many bytes the code units take for the
;; marks of the first k bytes. Four chars are stored at once, and what they are fewer is stored again by the next four: so
;; there must be room for twice the bytes that are left.

  ;; UTF-8 to UTF-16; returns where the code units end. Traps unless it is UTF-8.
  ;;
  ;; What is not left to $widen_two, $widen_threes and $widen_three is decoded one char at a time: chars of four bytes with
  ;; all that is near them, the last bytes, and the first two, since the others look at the two bytes before those that they
  ;; decode.
  (func $widen (param $at {p}) (param $end {p}) (param $out {q}) (result {q})
    (local $char i32) (local $start {p}) (local $last {p}) (local $stop {p}) (local $until {p}) (local $mark i32)
    (local.set $start (local.get $at))
    loop $next
      ({p}.eq (local.get $at) (local.get $end))
      if
        (return (local.get $out))
      end
      loop $one
        block $stored
          (local.set $char (i32.load8_u {from} (local.get $at)))
          (i32.lt_u (local.get $char) (i32.const 0x80))
          if
            (i32.store16 {to} (local.get $out) (local.get $char))
            (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
            (local.set $out ({q}.add (local.get $out) ({q}.const 2)))
            br $stored
          end
          block $other
            ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 4))
            br_if $other
            (local.set $char (i32.load {from} align=1 (local.get $at)))
            (i32.eq (i32.and (local.get $char) (i32.const 0xc0e0)) (i32.const 0x80c0))
            if
              (local.set $char
                (i32.or
                  (i32.shl (i32.and (local.get $char) (i32.const 0x1f)) (i32.const 6))
                  (i32.and (i32.shr_u (local.get $char) (i32.const 8)) (i32.const 0x3f))))
              (i32.lt_u (local.get $char) (i32.const 0x80))
              br_if $other
              (i32.store16 {to} (local.get $out) (local.get $char))
              (local.set $at ({p}.add (local.get $at) ({p}.const 2)))
              (local.set $out ({q}.add (local.get $out) ({q}.const 2)))
              br $stored
            end
            (i32.ne (i32.and (local.get $char) (i32.const 0xc0c0c0f8)) (i32.const 0x808080f0))
            br_if $other
            (local.set $char
              (i32.sub
                (i32.or
                  (i32.or
                    (i32.shl (i32.and (local.get $char) (i32.const 0x07)) (i32.const 18))
                    (i32.shl (i32.and (local.get $char) (i32.const 0x3f00)) (i32.const 4)))
                  (i32.or
                    (i32.and (i32.shr_u (local.get $char) (i32.const 10)) (i32.const 0xfc0))
                    (i32.and (i32.shr_u (local.get $char) (i32.const 24)) (i32.const 0x3f))))
                (i32.const 0x10000)))
            (i32.ge_u (local.get $char) (i32.const 0x100000))
            br_if $other
            (i32.store {to} align=2 (local.get $out)
              (i32.or
                (i32.or (i32.shr_u (local.get $char) (i32.const 10)) (i32.const 0xdc00d800))
                (i32.shl (i32.and (local.get $char) (i32.const 0x3ff)) (i32.const 16))))
            (local.set $at ({p}.add (local.get $at) ({p}.const 4)))
            (local.set $out ({q}.add (local.get $out) ({q}.const 4)))
            br $stored
          end
          (call {decode_utf8} (local.get $at) (local.get $end))
          local.set $at
          local.set $char
          (local.set $out (call {encode_utf16} (local.get $out) (local.get $char)))
        end
        ({p}.lt_u (local.get $at) (local.get $until))
        br_if $one
      end
      ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 17))
      br_if $next
      (local.set $mark
        (i8x16.bitmask (i8x16.ge_u (v128.load {from} align=1 (local.get $at)) (i8x16.splat (i32.const 0xf0)))))
      (local.get $mark)
      if
        ;; up to the last lead of four bytes
        (local.set $mark (i32.sub (i32.const 32) (i32.clz (local.get $mark))))
        (local.set $until ({p}.add (local.get $at) {mark_from}))
        br $next
      end
      ({p}.lt_u ({p}.sub (local.get $at) (local.get $start)) ({p}.const 2))
      br_if $next
      (i32.lt_s (i32.load8_s {from} (local.get $at)) (i32.const -64))
      br_if $next
      (local.set $last ({p}.sub (local.get $end) ({p}.const 19)))
      (local.set $at ({p}.sub (local.get $at) ({p}.const 2)))
      block $char
        loop $again
          (call {widen_two} (local.get $at) (local.get $last) (local.get $out))
          local.set $out
          local.set $at
          ({p}.gt_u (local.get $at) (local.get $last))
          br_if $char
          (v128.any_true
            (i8x16.sub_sat_u (v128.load {from} align=1 (local.get $at)) (i8x16.splat (i32.const 0xef))))
          br_if $char
          (local.set $stop (local.get $at))
          (call {widen_threes} (local.get $at) (local.get $end) (local.get $out))
          local.set $out
          local.set $at
          ({p}.gt_u (local.get $at) (local.get $last))
          br_if $char
          ({p}.ne (local.get $at) (local.get $stop))
          br_if $again
          (local.set $stop ({p}.add (local.get $at) ({p}.const 512)))
          (call {widen_three}
            (local.get $at)
            (select (local.get $stop) (local.get $last) ({p}.lt_u (local.get $stop) (local.get $last)))
            (local.get $out))
          local.set $out
          local.set $at
          ({p}.le_u (local.get $at) (local.get $last))
          br_if $again
        end
      end
      (local.set $at (call {begin_of_char} (local.get $at)))
      br $next
    end
    unreachable)

  ;; Where the char begins that goes on at $at + 2, if one does; otherwise $at + 2.
  (func $begin_of_char (param $at {p}) (result {p})
    (i32.ge_u (i32.load8_u {from} offset=1 (local.get $at)) (i32.const 0xc0))
    if
      (return ({p}.add (local.get $at) ({p}.const 1)))
    end
    (select
      (local.get $at)
      ({p}.add (local.get $at) ({p}.const 2))
      (i32.ge_u (i32.load8_u {from} (local.get $at)) (i32.const 0xe0))))

  ;; $widen, sixteen bytes at a time from $at + 2 while none of these and of the two before has more than two bytes, up to
  ;; $last; returns the same and where the code units end. Each byte is decoded as if a char ended there, into the low and
  ;; the high byte of a code unit; then those where none ends are left out, of four at a time: bit k of a nibble says whether
  ;; a char ends at byte k, and a table of sixteen has the places of the first three of its bits, in two, two and one bits.
  ;;
  ;; $sound tells of each byte whether all was well with it: the next one continues a char exactly behind a lead.
  (func $widen_two (param $at {p}) (param $last {p}) (param $out {q}) (result {p} {q})
    (local $marks i32) (local $second v128) (local $bytes v128) (local $ends v128) (local $low v128) (local $high v128) (local $order v128) (local $units v128) (local $sound v128)
    (local.set $sound (i8x16.splat (i32.const -1)))
    block $done
      loop $next
        (local.set $bytes (v128.load {from} offset=2 align=1 (local.get $at)))
        (local.set $ends (v128.load {from} offset=3 align=1 (local.get $at)))
        (i32.eqz (i8x16.bitmask (v128.or (local.get $bytes) (local.get $ends))))
        if
          (v128.store {to} align=2 (local.get $out) (i16x8.extend_low_i8x16_u (local.get $bytes)))
          (v128.store {to} offset=16 align=2 (local.get $out) (i16x8.extend_high_i8x16_u (local.get $bytes)))
          (local.set $out ({q}.add (local.get $out) ({q}.const 32)))
          (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
          ({p}.le_u (local.get $at) (local.get $last))
          br_if $next
          br $done
        end
        (v128.any_true
          (i8x16.sub_sat_u
            (i8x16.max_u (local.get $bytes) (v128.load {from} align=1 (local.get $at)))
            (i8x16.splat (i32.const 0xdf))))
        br_if $done
        (local.set $ends (i8x16.gt_s (local.get $ends) (i8x16.splat (i32.const -65))))
        (local.set $sound
          (v128.andnot
            (v128.and
              (local.get $sound)
              (v128.xor
                (i8x16.ge_u (local.get $bytes) (i8x16.splat (i32.const 0xc0)))
                (local.get $ends)))
            (i8x16.eq
              (v128.and (local.get $bytes) (i8x16.splat (i32.const 0xfe)))
              (i8x16.splat (i32.const 0xc0)))))
        (local.set $second
          (i8x16.sub_sat_u (v128.load {from} offset=1 align=1 (local.get $at)) (i8x16.splat (i32.const 0xc0))))
        (local.set $high (i8x16.shr_u (local.get $second) (i32.const 2)))
        (local.set $marks (i8x16.bitmask (local.get $ends)))
        (local.set $order
          (i32x4.add
            (v128.and
              (i32x4.mul
                (i8x16.swizzle
                  (v128.const i8x16 0 0 1 4 2 8 9 4 3 12 13 20 14 24 25 4)
                  (i32x4.extadd_pairwise_i16x8_s
                    (i16x8.extadd_pairwise_i8x16_u
                      (v128.and (local.get $ends) (v128.const i8x16 1 2 4 8 1 2 4 8 1 2 4 8 1 2 4 8)))))
                (i32x4.splat (i32.const 0x1041)))
              (i32x4.splat (i32.const 0x00010303)))
            (v128.const i8x16 0 0 2 3 4 4 6 7 8 8 10 11 12 12 14 15)))
        (local.set $low
          (i8x16.swizzle
            (v128.or
              (v128.and (i16x8.shl (local.get $second) (i32.const 6)) (i8x16.splat (i32.const 0xc0)))
              (v128.and (local.get $bytes) (i8x16.splat (i32.const 0x7f))))
            (local.get $order)))
        (local.set $high (i8x16.swizzle (local.get $high) (local.get $order)))
        (local.set $units
          (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $low) (local.get $high)))
        (f64.store {to} align=2 (local.get $out) (f64x2.extract_lane 0 (local.get $units)))
        (v128.store64_lane {to} align=2 1 ({q}.add (local.get $out) {marks_4}) (local.get $units))
        (local.set $units
          (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $low) (local.get $high)))
        (f64.store {to} align=2 ({q}.add (local.get $out) {marks_8}) (f64x2.extract_lane 0 (local.get $units)))
        (v128.store64_lane {to} align=2 1 ({q}.add (local.get $out) {marks_12}) (local.get $units))
        (local.set $out ({q}.add (local.get $out) {marks_16}))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        ({p}.le_u (local.get $at) (local.get $last))
        br_if $next
      end
    end
    (i32.eqz (i8x16.all_true (local.get $sound)))
    if
      call {trap UTF8}
      unreachable
    end
    local.get $at
    local.get $out)

  ;; The same up to a char of four bytes, or until sixteen bytes held nothing but chars of three. The next byte continues a
  ;; char exactly behind a lead, or one behind a lead of three bytes; behind e0 it is at least a0, behind ed it is not: in
  ;; either case what ^ makes of both is e0.
  (func $widen_three (param $at {p}) (param $last {p}) (param $out {q}) (result {p} {q})
    (local $marks i32) (local $first v128) (local $second v128) (local $bytes v128) (local $after v128)
    (local $ends v128) (local $low v128) (local $high v128) (local $order v128) (local $units v128) (local $sound v128)
    (local.set $sound (i8x16.splat (i32.const -1)))
    (local.set $marks (i32.const -1))
    block $done
      loop $next
        (i32.le_u (i32.popcnt (local.get $marks)) (i32.const 6))
        if
          (i32.eq
            (local.get $marks)
            (i32.and (i32.shl (i32.const 0x9249) (i32.ctz (local.get $marks))) (i32.const 0xffff)))
          br_if $done
        end
        (local.set $first
          (i8x16.sub_sat_u (v128.load {from} align=1 (local.get $at)) (i8x16.splat (i32.const 0xe0))))
        (v128.any_true (i8x16.gt_s (local.get $first) (i8x16.splat (i32.const 0x0f))))
        br_if $done
        (local.set $second (v128.load {from} offset=1 align=1 (local.get $at)))
        (local.set $bytes (v128.load {from} offset=2 align=1 (local.get $at)))
        (local.set $after (v128.load {from} offset=3 align=1 (local.get $at)))
        (local.set $ends (i8x16.gt_s (local.get $after) (i8x16.splat (i32.const -65))))
        (local.set $sound
          (v128.andnot
            (v128.and
              (local.get $sound)
              (v128.xor
                (v128.or
                  (i8x16.ge_u (local.get $bytes) (i8x16.splat (i32.const 0xc0)))
                  (i8x16.ge_u (local.get $second) (i8x16.splat (i32.const 0xe0))))
                (local.get $ends)))
            (v128.or
              (i8x16.eq
                (v128.and (local.get $bytes) (i8x16.splat (i32.const 0xfe)))
                (i8x16.splat (i32.const 0xc0)))
              (i8x16.eq
                (v128.xor
                  (local.get $bytes)
                  (v128.and
                    (i8x16.gt_s (local.get $after) (i8x16.splat (i32.const 0x9f)))
                    (i8x16.splat (i32.const 0x0d))))
                (i8x16.splat (i32.const 0xe0))))))
        (local.set $second
          (v128.and (local.get $second) (i8x16.lt_s (local.get $bytes) (i8x16.splat (i32.const 0)))))
        (local.set $high
          (v128.or
            (i16x8.shl (local.get $first) (i32.const 4))
            (v128.and (i16x8.shr_u (local.get $second) (i32.const 2)) (i8x16.splat (i32.const 0x0f)))))
        (local.set $marks (i8x16.bitmask (local.get $ends)))
        (local.set $order
          (i32x4.add
            (v128.and
              (i32x4.mul
                (i8x16.swizzle
                  (v128.const i8x16 0 0 1 4 2 8 9 4 3 12 13 20 14 24 25 4)
                  (i32x4.extadd_pairwise_i16x8_s
                    (i16x8.extadd_pairwise_i8x16_u
                      (v128.and (local.get $ends) (v128.const i8x16 1 2 4 8 1 2 4 8 1 2 4 8 1 2 4 8)))))
                (i32x4.splat (i32.const 0x1041)))
              (i32x4.splat (i32.const 0x00010303)))
            (v128.const i8x16 0 0 2 3 4 4 6 7 8 8 10 11 12 12 14 15)))
        (local.set $low
          (i8x16.swizzle
            (v128.or
              (v128.and (i16x8.shl (local.get $second) (i32.const 6)) (i8x16.splat (i32.const 0xc0)))
              (v128.and (local.get $bytes) (i8x16.splat (i32.const 0x7f))))
            (local.get $order)))
        (local.set $high (i8x16.swizzle (local.get $high) (local.get $order)))
        (local.set $units
          (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $low) (local.get $high)))
        (f64.store {to} align=2 (local.get $out) (f64x2.extract_lane 0 (local.get $units)))
        (v128.store64_lane {to} align=2 1 ({q}.add (local.get $out) {marks_4}) (local.get $units))
        (local.set $units
          (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $low) (local.get $high)))
        (f64.store {to} align=2 ({q}.add (local.get $out) {marks_8}) (f64x2.extract_lane 0 (local.get $units)))
        (v128.store64_lane {to} align=2 1 ({q}.add (local.get $out) {marks_12}) (local.get $units))
        (local.set $out ({q}.add (local.get $out) {marks_16}))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        ({p}.le_u (local.get $at) (local.get $last))
        br_if $next
      end
    end
    (i32.eqz (i8x16.all_true (local.get $sound)))
    if
      call {trap UTF8}
      unreachable
    end
    local.get $at
    local.get $out)

  ;; $widen, eight chars of three bytes each at a time, up to another one; nothing, if there are no eight. What three bytes
  ;; are too many for, and surrogates, show in the code units.
  (func $widen_threes (param $at {p}) (param $end {p}) (param $out {q}) (result {p} {q})
    (local $start {p}) (local $from {p}) (local $errors v128)
    (local $first v128) (local $second v128) (local $low v128) (local $high v128) (local $units v128)
    (local.set $start (call {begin_of_char} (local.get $at)))
    (local.set $from (local.get $start))
    block $done
      loop $next
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $from)) ({p}.const 24))
        br_if $done
        (local.set $first (v128.load {from} align=1 (local.get $from)))
        (local.set $second (v128.load {from} offset=8 align=1 (local.get $from)))
        (v128.any_true
          (v128.or
            (v128.xor
              (v128.and
                (local.get $first)
                (v128.const i8x16 0xf0 0xc0 0xc0 0xf0 0xc0 0xc0 0xf0 0xc0 0xc0 0xf0 0xc0 0xc0 0xf0 0xc0 0xc0 0xf0))
              (v128.const i8x16 0xe0 0x80 0x80 0xe0 0x80 0x80 0xe0 0x80 0x80 0xe0 0x80 0x80 0xe0 0x80 0x80 0xe0))
            (v128.xor
              (v128.and
                (local.get $second)
                (v128.const i8x16 0xc0 0xf0 0xc0 0xc0 0xf0 0xc0 0xc0 0xf0 0xc0 0xc0 0xf0 0xc0 0xc0 0xf0 0xc0 0xc0))
              (v128.const i8x16 0x80 0xe0 0x80 0x80 0xe0 0x80 0x80 0xe0 0x80 0x80 0xe0 0x80 0x80 0xe0 0x80 0x80))))
        br_if $done
        (local.set $low
          (i8x16.shuffle 2 1 5 4 8 7 11 10 22 21 25 24 28 27 31 30 (local.get $first) (local.get $second)))
        (local.set $high
          (i8x16.shuffle 1 0 4 3 7 6 10 9 21 20 24 23 27 26 30 29 (local.get $first) (local.get $second)))
        (local.set $units
          (v128.or
            (v128.or
              (v128.and (local.get $low) (i16x8.splat (i32.const 0x3f)))
              (v128.and (i16x8.shr_u (local.get $low) (i32.const 2)) (i16x8.splat (i32.const 0xfc0))))
            (v128.and (i16x8.shl (local.get $high) (i32.const 4)) (i16x8.splat (i32.const 0xf000)))))
        (local.set $high (v128.and (local.get $units) (i16x8.splat (i32.const 0xf800))))
        (local.set $errors
          (v128.or
            (local.get $errors)
            (v128.or
              (i16x8.eq (local.get $high) (i16x8.splat (i32.const 0)))
              (i16x8.eq (local.get $high) (i16x8.splat (i32.const 0xd800))))))
        (v128.store {to} align=2 (local.get $out) (local.get $units))
        (local.set $from ({p}.add (local.get $from) ({p}.const 24)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 16)))
        br $next
      end
    end
    ({p}.eq (local.get $from) (local.get $start))
    if
      (return (local.get $at) (local.get $out))
    end
    ({p}.lt_u (local.get $from) (local.get $end))
    if
      ;; no char goes on here
      (local.set $errors
        (v128.or
          (local.get $errors)
          (i32x4.splat (i32.lt_s (i32.load8_s {from} (local.get $from)) (i32.const -64)))))
    end
    (v128.any_true (local.get $errors))
    if
      call {trap UTF8}
      unreachable
    end
    ({p}.sub (local.get $from) ({p}.const 2))
    local.get $out)
