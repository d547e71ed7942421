;; Runs of elements of lists. The parameters in braces are as in strings.wat.

  ;; Copies bytes. Few are the first and the last 16, 8, 4 or 2, which may overlap: `memory.copy` takes as long as 200 of them.
  (func $copy_bytes (param $out {q}) (param $at {p}) (param $size {p})
    (local $last {p}) (local $a i64) (local $b i64) (local $c i64) (local $d i64)
    ({p}.gt_u (local.get $size) ({p}.const 32))
    if
      (memory.copy {to} {from} (local.get $out) (local.get $at) {size})
      return
    end
    ({p}.ge_u (local.get $size) ({p}.const 16))
    if
      (local.set $last ({p}.sub (local.get $size) ({p}.const 16)))
      (local.set $a (i64.load {from} align=1 (local.get $at)))
      (local.set $b (i64.load {from} offset=8 align=1 (local.get $at)))
      (local.set $at ({p}.add (local.get $at) (local.get $last)))
      (local.set $c (i64.load {from} align=1 (local.get $at)))
      (local.set $d (i64.load {from} offset=8 align=1 (local.get $at)))
      (i64.store {to} align=1 (local.get $out) (local.get $a))
      (i64.store {to} offset=8 align=1 (local.get $out) (local.get $b))
      (local.set $out ({q}.add (local.get $out) {last}))
      (i64.store {to} align=1 (local.get $out) (local.get $c))
      (i64.store {to} offset=8 align=1 (local.get $out) (local.get $d))
      return
    end
    ({p}.ge_u (local.get $size) ({p}.const 8))
    if
      (local.set $last ({p}.sub (local.get $size) ({p}.const 8)))
      (local.set $a (i64.load {from} align=1 (local.get $at)))
      (local.set $b (i64.load {from} align=1 ({p}.add (local.get $at) (local.get $last))))
      (i64.store {to} align=1 (local.get $out) (local.get $a))
      (i64.store {to} align=1 ({q}.add (local.get $out) {last}) (local.get $b))
      return
    end
    ({p}.ge_u (local.get $size) ({p}.const 4))
    if
      (local.set $last ({p}.sub (local.get $size) ({p}.const 4)))
      (local.set $a (i64.load32_u {from} align=1 (local.get $at)))
      (local.set $b (i64.load32_u {from} align=1 ({p}.add (local.get $at) (local.get $last))))
      (i64.store32 {to} align=1 (local.get $out) (local.get $a))
      (i64.store32 {to} align=1 ({q}.add (local.get $out) {last}) (local.get $b))
      return
    end
    ({p}.eqz (local.get $size))
    if
      return
    end
    (local.set $last ({p}.sub (local.get $size) ({p}.const 1)))
    (i32.store8 {to} (local.get $out) (i32.load8_u {from} (local.get $at)))
    (i32.store8 {to}
      ({q}.add (local.get $out) {last})
      (i32.load8_u {from} ({p}.add (local.get $at) (local.get $last))))
    ({p}.eq (local.get $size) ({p}.const 3))
    if
      (i32.store8 {to} offset=1 (local.get $out) (i32.load8_u {from} offset=1 (local.get $at)))
    end)

  ;; Copies chars; traps unless all are Unicode scalar values: for those, and for no others, (char ^ 0xd800) - 0x800 is
  ;; below 0x10f800, without sign. The greatest of these numbers is kept in each lane.
  (func $copy_chars (param $at {p}) (param $end {p}) (param $out {q})
    (local $a v128) (local $b v128) (local $greatest v128) (local $char i32)
    block $tail
      loop $next
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 32))
        br_if $tail
        (local.set $a (v128.load {from} align=4 (local.get $at)))
        (local.set $b (v128.load {from} offset=16 align=4 (local.get $at)))
        (v128.store {to} align=4 (local.get $out) (local.get $a))
        (v128.store {to} offset=16 align=4 (local.get $out) (local.get $b))
        (local.set $greatest
          (i32x4.max_u
            (local.get $greatest)
            (i32x4.max_u
              (i32x4.sub (v128.xor (local.get $a) (i32x4.splat (i32.const 0xd800))) (i32x4.splat (i32.const 0x800)))
              (i32x4.sub (v128.xor (local.get $b) (i32x4.splat (i32.const 0xd800))) (i32x4.splat (i32.const 0x800))))))
        (local.set $at ({p}.add (local.get $at) ({p}.const 32)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 32)))
        br $next
      end
    end
    ({p}.ge_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
    if
      (local.set $a (v128.load {from} align=4 (local.get $at)))
      (v128.store {to} align=4 (local.get $out) (local.get $a))
      (local.set $greatest
        (i32x4.max_u
          (local.get $greatest)
          (i32x4.sub (v128.xor (local.get $a) (i32x4.splat (i32.const 0xd800))) (i32x4.splat (i32.const 0x800)))))
      (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
      (local.set $out ({q}.add (local.get $out) ({q}.const 16)))
    end
    (v128.any_true (i32x4.ge_u (local.get $greatest) (i32x4.splat (i32.const 0x10f800))))
    if
      call {trap CHAR}
      unreachable
    end
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (local.set $char (i32.load {from} (local.get $at)))
        {check_char}
        (i32.store {to} (local.get $out) (local.get $char))
        (local.set $at ({p}.add (local.get $at) ({p}.const 4)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 4)))
        br $next
      end
    end)

  ;; Copies bools; anything but 0 becomes 1.
  (func $copy_bools (param $at {p}) (param $end {p}) (param $out {q})
    block $tail
      loop $next
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
        br_if $tail
        (v128.store {to} align=1 (local.get $out)
          (v128.and
            (i8x16.ne (v128.load {from} align=1 (local.get $at)) (i8x16.splat (i32.const 0)))
            (i8x16.splat (i32.const 1))))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 16)))
        br $next
      end
    end
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (i32.store8 {to} (local.get $out) (i32.ne (i32.load8_u {from} (local.get $at)) (i32.const 0)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 1)))
        br $next
      end
    end)
