(module
  (import "host" "ask" (func $ask (param i32) (result i32)))

  ;; The sum of the answers to n … 1; where one is negative, there is a second question.
  (func $sum (export "run") (param $n i32) (result i32)
    (local $sum i32) (local $answer i32)
    loop $next
      local.get $sum
      local.get $n
      call $ask
      local.tee $answer
      i32.add
      local.set $sum
      local.get $answer
      i32.const 0
      i32.lt_s
      if
        i32.const 100
        call $ask
        drop
      end
      local.get $n
      i32.const 1
      i32.sub
      local.tee $n
      br_if $next
    end
    local.get $sum))
