;; Runs of strings that are transcoded eight code units at a time, whatever their chars. The parameters in braces are as
;; in strings.wat; {end_k} is where the bytes of unit k end. The bytes of each unit stand in a lane, those of two units of at
;; most two bytes in one, and each lane is stored where the lane before it ends: what it stores beyond that is stored again
;; by the next. So the last eight units are left to others.

  ;; UTF-16 to UTF-8, up to the last units; returns where both sides stand. A surrogate is two of the four bytes of its char;
  ;; a low one has two bits of the high one before it. Where one is alone this returns, so that decoding it traps.
  (func $encode_units (param $at {p}) (param $end {p}) (param $out {q}) (result {p} {q})
    (local $units v128) (local $long v128) (local $sizes v128) (local $ends i64) (local $low v128) (local $high v128)
    (local $last v128) (local $next v128) (local $six v128) (local $pairs v128) (local $left i64)
    block $done
      loop $next
        ({p}.le_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
        br_if $done
        (local.set $units (v128.load {from} align=2 (local.get $at)))
        block $stored
          block $long
            (v128.any_true (v128.and (local.get $units) (i16x8.splat (i32.const 0xff80))))
            br_if $long
            (v128.store64_lane {to} align=1 0 (local.get $out)
              (i8x16.narrow_i16x8_u (local.get $units) (local.get $units)))
            (local.set $out ({q}.add (local.get $out) ({q}.const 8)))
            br $stored
          end
          (local.set $pairs
            (i16x8.eq
              (v128.and (local.get $units) (i16x8.splat (i32.const 0xf800)))
              (i16x8.splat (i32.const 0xd800))))
          (local.set $left (i64.const 0))
          (v128.any_true (local.get $pairs))
          if
            (local.set $long
              (i16x8.eq
                (v128.and (local.get $units) (i16x8.splat (i32.const 0xfc00)))
                (i16x8.splat (i32.const 0xd800))))
            (v128.any_true
              (v128.xor
                (v128.xor (local.get $long) (local.get $pairs))
                (i8x16.shuffle 0 1 16 17 18 19 20 21 22 23 24 25 26 27 28 29 (v128.const i64x2 0 0) (local.get $long))))
            br_if $done
            (local.set $six
              (i16x8.add (v128.and (local.get $units) (i16x8.splat (i32.const 0x3ff))) (i16x8.splat (i32.const 0x40))))
            (local.set $six
              (v128.bitselect
                (v128.or
                  (v128.or
                    (i16x8.shr_u (local.get $six) (i32.const 8))
                    (v128.and (i16x8.shl (local.get $six) (i32.const 6)) (i16x8.splat (i32.const 0x3f00))))
                  (i16x8.splat (i32.const 0x80f0)))
                (v128.or
                  (v128.or
                    (v128.and
                      (i16x8.shl
                        (i8x16.shuffle 0 1 16 17 18 19 20 21 22 23 24 25 26 27 28 29 (v128.const i64x2 0 0) (local.get $units))
                        (i32.const 4))
                      (i16x8.splat (i32.const 0x30)))
                    (v128.and (i16x8.shr_u (local.get $units) (i32.const 6)) (i16x8.splat (i32.const 0x0f))))
                  (v128.or
                    (i16x8.shl (v128.and (local.get $units) (i16x8.splat (i32.const 0x3f))) (i32.const 8))
                    (i16x8.splat (i32.const 0x8080))))
                (local.get $long)))
            (i16x8.extract_lane_u 7 (local.get $long))
            if
              ;; a high one goes with the next units
              (local.set $left (i64.const 0x0200000000000000))
              (local.set $at ({p}.sub (local.get $at) ({p}.const 2)))
            end
          end
          block $three
            (v128.any_true
              (v128.andnot (v128.and (local.get $units) (i16x8.splat (i32.const 0xf800))) (local.get $pairs)))
            br_if $three
            (local.set $long (i16x8.gt_u (local.get $units) (i16x8.splat (i32.const 0x7f))))
            (local.set $low
              (v128.bitselect
                (v128.or
                  (v128.or
                    (i16x8.shr_u (local.get $units) (i32.const 6))
                    (i16x8.shl (v128.and (local.get $units) (i16x8.splat (i32.const 0x3f))) (i32.const 8)))
                  (i16x8.splat (i32.const 0x80c0)))
                (local.get $units)
                (local.get $long)))
            (local.set $low (v128.bitselect (local.get $six) (local.get $low) (local.get $pairs)))
            (local.set $sizes (i8x16.sub (i8x16.splat (i32.const 1)) (i8x16.narrow_i16x8_s (local.get $long) (local.get $long))))
            (local.set $ends
              (i64.sub
                (i64.mul (i64x2.extract_lane 0 (local.get $sizes)) (i64.const 0x0101010101010101))
                (local.get $left)))
            {store_lanes}
            (local.set $out ({q}.add (local.get $out) {end_7}))
            br $stored
          end
          (local.set $low (i32x4.extend_low_i16x8_u (local.get $units)))
          (local.set $last (v128.and (local.get $low) (i32x4.splat (i32.const 0x3f))))
          (local.set $next (i32x4.shr_u (local.get $low) (i32.const 6)))
          (local.set $low
            (v128.bitselect
              (v128.or
                (v128.or
                  (i32x4.shr_u (local.get $low) (i32.const 12))
                  (i32x4.shl (v128.and (local.get $next) (i32x4.splat (i32.const 0x3f))) (i32.const 8)))
                (v128.or (i32x4.shl (local.get $last) (i32.const 16)) (i32x4.splat (i32.const 0x8080e0))))
              (v128.bitselect
                (v128.or
                  (v128.or (local.get $next) (i32x4.shl (local.get $last) (i32.const 8)))
                  (i32x4.splat (i32.const 0x80c0)))
                (local.get $low)
                (i32x4.gt_s (local.get $low) (i32x4.splat (i32.const 0x7f))))
              (i32x4.gt_s (local.get $low) (i32x4.splat (i32.const 0x7ff)))))
          (local.set $high (i32x4.extend_high_i16x8_u (local.get $units)))
          (local.set $last (v128.and (local.get $high) (i32x4.splat (i32.const 0x3f))))
          (local.set $next (i32x4.shr_u (local.get $high) (i32.const 6)))
          (local.set $high
            (v128.bitselect
              (v128.or
                (v128.or
                  (i32x4.shr_u (local.get $high) (i32.const 12))
                  (i32x4.shl (v128.and (local.get $next) (i32x4.splat (i32.const 0x3f))) (i32.const 8)))
                (v128.or (i32x4.shl (local.get $last) (i32.const 16)) (i32x4.splat (i32.const 0x8080e0))))
              (v128.bitselect
                (v128.or
                  (v128.or (local.get $next) (i32x4.shl (local.get $last) (i32.const 8)))
                  (i32x4.splat (i32.const 0x80c0)))
                (local.get $high)
                (i32x4.gt_s (local.get $high) (i32x4.splat (i32.const 0x7f))))
              (i32x4.gt_s (local.get $high) (i32x4.splat (i32.const 0x7ff)))))
          (local.set $long (i16x8.gt_u (local.get $units) (i16x8.splat (i32.const 0x7f))))
          (local.set $last (i16x8.gt_u (local.get $units) (i16x8.splat (i32.const 0x7ff))))
          (local.set $last (v128.andnot (local.get $last) (local.get $pairs)))
          (local.set $long (i16x8.add (local.get $long) (local.get $last)))
          (local.set $sizes (i8x16.sub (i8x16.splat (i32.const 1)) (i8x16.narrow_i16x8_s (local.get $long) (local.get $long))))
          (v128.any_true (local.get $pairs))
          if
            (local.set $low
              (v128.bitselect
                (i32x4.extend_low_i16x8_u (local.get $six))
                (local.get $low)
                (i32x4.extend_low_i16x8_s (local.get $pairs))))
            (local.set $high
              (v128.bitselect
                (i32x4.extend_high_i16x8_u (local.get $six))
                (local.get $high)
                (i32x4.extend_high_i16x8_s (local.get $pairs))))
          end
          (local.set $ends
            (i64.sub
              (i64.mul (i64x2.extract_lane 0 (local.get $sizes)) (i64.const 0x0101010101010101))
              (local.get $left)))
          (i16x8.all_true (local.get $last))
          if
            (local.set $high (i8x16.swizzle (local.get $high) (v128.const i8x16 0 1 2 4 5 6 8 9 10 12 13 14 16 16 16 16)))
            (v128.store {to} align=1 (local.get $out)
              (i8x16.swizzle (local.get $low) (v128.const i8x16 0 1 2 4 5 6 8 9 10 12 13 14 16 16 16 16)))
            (v128.store64_lane {to} offset=12 align=1 0 (local.get $out) (local.get $high))
            (v128.store32_lane {to} offset=20 align=1 2 (local.get $out) (local.get $high))
            (local.set $out ({q}.add (local.get $out) ({q}.const 24)))
            br $stored
          end
          (v128.store32_lane {to} align=1 0 (local.get $out) (local.get $low))
          (v128.store32_lane {to} align=1 1 ({q}.add (local.get $out) {end_0}) (local.get $low))
          (v128.store32_lane {to} align=1 2 ({q}.add (local.get $out) {end_1}) (local.get $low))
          (v128.store32_lane {to} align=1 3 ({q}.add (local.get $out) {end_2}) (local.get $low))
          (v128.store32_lane {to} align=1 0 ({q}.add (local.get $out) {end_3}) (local.get $high))
          (v128.store32_lane {to} align=1 1 ({q}.add (local.get $out) {end_4}) (local.get $high))
          (v128.store32_lane {to} align=1 2 ({q}.add (local.get $out) {end_5}) (local.get $high))
          (v128.store32_lane {to} align=1 3 ({q}.add (local.get $out) {end_6}) (local.get $high))
          (local.set $out ({q}.add (local.get $out) {end_7}))
        end
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        br $next
      end
    end
    local.get $at
    local.get $out)

  ;; Latin-1 to UTF-8; returns where both sides stand. Where few of sixteen bytes are not plain, all are stored as they are;
  ;; then, for each of those, its two bytes and once more what stands behind it.
  (func $encode_latin1 (param $at {p}) (param $end {p}) (param $out {q}) (result {p} {q})
    (local $units v128) (local $long v128) (local $sizes v128) (local $ends i64) (local $low v128)
    (local $marks i32) (local $mark i32) (local $from {p}) (local $to {q}) (local $byte i32)
    block $done
      loop $next
        block $many
          ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 48))
          br_if $many
          (local.set $units (v128.load {from} align=1 (local.get $at)))
          (local.set $marks (i8x16.bitmask (local.get $units)))
          (i32.gt_u (i32.popcnt (local.get $marks)) (i32.const 5))
          br_if $many
          (v128.store {to} align=1 (local.get $out) (local.get $units))
          block $stored
            loop $mark
              (i32.eqz (local.get $marks))
              br_if $stored
              (local.set $mark (i32.ctz (local.get $marks)))
              (local.set $from ({p}.add (local.get $at) {mark_from}))
              (local.set $to ({q}.add (local.get $out) {mark_to}))
              (local.set $byte (i32.load8_u {from} (local.get $from)))
              (i32.store16 {to} align=1 (local.get $to)
                (i32.or
                  (i32.or (i32.const 0x80c0) (i32.shr_u (local.get $byte) (i32.const 6)))
                  (i32.shl (i32.and (local.get $byte) (i32.const 0x3f)) (i32.const 8))))
              (v128.store {to} offset=2 align=1 (local.get $to) (v128.load {from} offset=1 align=1 (local.get $from)))
              (local.set $out ({q}.add (local.get $out) ({q}.const 1)))
              (local.set $marks (i32.and (local.get $marks) (i32.sub (local.get $marks) (i32.const 1))))
              br $mark
            end
          end
          (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
          (local.set $out ({q}.add (local.get $out) ({q}.const 16)))
          br $next
        end
        ({p}.le_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 8))
        br_if $done
        (local.set $units (v128.load8x8_u {from} align=1 (local.get $at)))
        block $stored
          block $long
            (v128.any_true (v128.and (local.get $units) (i16x8.splat (i32.const 0xff80))))
            br_if $long
            (v128.store64_lane {to} align=1 0 (local.get $out)
              (i8x16.narrow_i16x8_u (local.get $units) (local.get $units)))
            (local.set $out ({q}.add (local.get $out) ({q}.const 8)))
            br $stored
          end
          (local.set $long (i16x8.gt_s (local.get $units) (i16x8.splat (i32.const 0x7f))))
          (local.set $low
            (v128.bitselect
              (v128.or
                (v128.or
                  (i16x8.shr_u (local.get $units) (i32.const 6))
                  (i16x8.shl (v128.and (local.get $units) (i16x8.splat (i32.const 0x3f))) (i32.const 8)))
                (i16x8.splat (i32.const 0x80c0)))
              (local.get $units)
              (local.get $long)))
          (local.set $sizes (i8x16.sub (i8x16.splat (i32.const 1)) (i8x16.narrow_i16x8_s (local.get $long) (local.get $long))))
          (local.set $ends (i64.mul (i64x2.extract_lane 0 (local.get $sizes)) (i64.const 0x0101010101010101)))
          {store_lanes}
          (local.set $out ({q}.add (local.get $out) {end_7}))
        end
        (local.set $at ({p}.add (local.get $at) ({p}.const 8)))
        br $next
      end
    end
    local.get $at
    local.get $out)

  ;; Widens Latin-1 to code units.
  (func $widen_latin1 (param $at {p}) (param $end {p}) (param $out {q})
    (local $start {p}) (local $chunk v128)
    (local.set $start (local.get $at))
    block $narrow
      loop $plain
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 32))
        br_if $narrow
        (v128.store {to} align=2 (local.get $out) (v128.load8x8_u {from} align=1 (local.get $at)))
        (v128.store {to} offset=16 align=2 (local.get $out) (v128.load8x8_u {from} offset=8 align=1 (local.get $at)))
        (v128.store {to} offset=32 align=2 (local.get $out) (v128.load8x8_u {from} offset=16 align=1 (local.get $at)))
        (v128.store {to} offset=48 align=2 (local.get $out) (v128.load8x8_u {from} offset=24 align=1 (local.get $at)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 32)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 64)))
        br $plain
      end
    end
    block $tail
      loop $plain
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
        br_if $tail
        (local.set $chunk (v128.load {from} align=1 (local.get $at)))
        (v128.store {to} align=2 (local.get $out) (i16x8.extend_low_i8x16_u (local.get $chunk)))
        (v128.store {to} offset=16 align=2 (local.get $out) (i16x8.extend_high_i8x16_u (local.get $chunk)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 32)))
        br $plain
      end
    end
    ({p}.ge_u ({p}.sub (local.get $end) (local.get $start)) ({p}.const 16))
    if
      (local.set $out ({q}.sub ({q}.add (local.get $out) ({q}.shl {left} ({q}.const 1))) ({q}.const 32)))
      (local.set $chunk (v128.load {from} align=1 ({p}.sub (local.get $end) ({p}.const 16))))
      (v128.store {to} align=2 (local.get $out) (i16x8.extend_low_i8x16_u (local.get $chunk)))
      (v128.store {to} offset=16 align=2 (local.get $out) (i16x8.extend_high_i8x16_u (local.get $chunk)))
      return
    end
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (i32.store16 {to} (local.get $out) (i32.load8_u {from} (local.get $at)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 2)))
        br $next
      end
    end)

  ;; UTF-8 to Latin-1, up to sixteen bytes that are none, or to the last ones; returns where both sides stand. A char of two
  ;; bytes is decoded where its lead stands, and its second byte is left out, as in widen.wat: of four bytes at a time.
  (func $compact_latin1 (param $at {p}) (param $end {p}) (param $out {q}) (result {p} {q})
    (local $start {p}) (local $marks i32)
    (local $bytes v128) (local $next v128) (local $long v128) (local $begins v128) (local $packed v128)
    (local.set $start (local.get $at))
    block $done
      ({p}.eq (local.get $at) (local.get $end))
      br_if $done
      (i32.lt_s (i32.load8_s {from} (local.get $at)) (i32.const -64)) ;; goes on where no char began
      br_if $done
      loop $next
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 17))
        br_if $done
        (local.set $bytes (v128.load {from} align=1 (local.get $at)))
        (i32.eqz (i8x16.bitmask (local.get $bytes)))
        if
          (v128.store {to} align=1 (local.get $out) (local.get $bytes))
          (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
          (local.set $out ({q}.add (local.get $out) ({q}.const 16)))
          br $next
        end
        (local.set $next (v128.load {from} offset=1 align=1 (local.get $at)))
        (local.set $long
          (i8x16.eq (v128.and (local.get $bytes) (i8x16.splat (i32.const 0xfe))) (i8x16.splat (i32.const 0xc2))))
        (local.set $begins (i8x16.gt_s (local.get $bytes) (i8x16.splat (i32.const -65))))
        (v128.any_true
          (v128.or
            (v128.xor (local.get $long) (i8x16.lt_s (local.get $next) (i8x16.splat (i32.const -64))))
            (v128.xor (local.get $long) (i8x16.ge_u (local.get $bytes) (i8x16.splat (i32.const 0xc0))))))
        br_if $done
        (local.set $marks (i8x16.bitmask (local.get $begins)))
        (local.set $packed
          (i8x16.swizzle
            (v128.bitselect
              (v128.or
                (v128.and (i16x8.shl (local.get $bytes) (i32.const 6)) (i8x16.splat (i32.const 0xc0)))
                (v128.and (local.get $next) (i8x16.splat (i32.const 0x3f))))
              (local.get $bytes)
              (local.get $long))
            (i32x4.add
              (v128.and
                (i32x4.mul
                  (i8x16.swizzle
                    (v128.const i8x16 0 0 1 4 2 8 9 4 3 12 13 20 14 24 25 4)
                    (i32x4.extadd_pairwise_i16x8_s
                      (i16x8.extadd_pairwise_i8x16_u
                        (v128.and (local.get $begins) (v128.const i8x16 1 2 4 8 1 2 4 8 1 2 4 8 1 2 4 8)))))
                  (i32x4.splat (i32.const 0x1041)))
                (i32x4.splat (i32.const 0x00010303)))
              (v128.const i8x16 0 0 2 3 4 4 6 7 8 8 10 11 12 12 14 15))))
        (v128.store32_lane {to} align=1 0 (local.get $out) (local.get $packed))
        (v128.store32_lane {to} align=1 1 ({q}.add (local.get $out) {chars_4}) (local.get $packed))
        (v128.store32_lane {to} align=1 2 ({q}.add (local.get $out) {chars_8}) (local.get $packed))
        (v128.store32_lane {to} align=1 3 ({q}.add (local.get $out) {chars_12}) (local.get $packed))
        (local.set $out ({q}.add (local.get $out) {chars_16}))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        br $next
      end
    end
    ({p}.ne (local.get $at) (local.get $start))
    if
      ;; the second byte of a char that is decoded already
      (i32.lt_s (i32.load8_s {from} (local.get $at)) (i32.const -64))
      if
        (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
      end
    end
    local.get $at
    local.get $out)
