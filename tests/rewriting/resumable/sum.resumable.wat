(module
  (type (func (param i32) (result i32)))
  (type (func (param i32)))
  (type (func))
  (import "host" "ask" (func $ask (type 0) (param i32) (result i32)))
  (memory $frames (@meld.synthetic resumable-frames) 1 65535)
  (global $frames.state (@meld.synthetic resumable-frames) (mut i32) i32.const 0)
  (global $frames.top (@meld.synthetic resumable-frames) (mut i32) i32.const 8)
  (global $frames.limit (@meld.synthetic resumable-frames) (mut i32) i32.const 65536)
  (export "run" (func $sum))
  (func $sum (type 0) (param $n i32) (result i32)
    (local $sum i32) (local $answer i32) (local $point i32) (local $frame i32) (local i32 i32 i32)
    global.get $frames.state
    if
      global.get $frames.top
      i32.const 24
      i32.sub
      local.tee $frame
      global.set $frames.top
      local.get $frame
      i32.load
      local.set $point
      local.get $frame
      i32.load offset=4
      local.set $n
      local.get $frame
      i32.load offset=8
      local.set $sum
      local.get $frame
      i32.load offset=12
      local.set 6
      local.get $frame
      i32.load offset=16
      local.set 7
    end
    block
      block (result i32)
        loop $next
          block
            block
              block
                local.get $point
                i32.eqz
                br_if 0
                local.get $point
                i32.const 2
                i32.lt_u
                br_if 1
                br 2
              end
              local.get $sum
              local.get $n
              local.set 5
              local.set 6
            end
            i32.const 0
            local.set $point
            local.get 5
            call $ask
            global.get $frames.state
            if
              i32.const 1
              local.set $point
              br 4
            end
            local.set 5
            local.get 6
            local.get 5
            local.tee $answer
            i32.add
            local.set $sum
            local.get $answer
            i32.const 0
            i32.lt_s
            local.set 7
          end
          local.get 7
          if
            block
              local.get $point
              br_if 0
              i32.const 100
              local.set 6
            end
            i32.const 0
            local.set $point
            local.get 6
            call $ask
            global.get $frames.state
            if
              i32.const 2
              local.set $point
              br 4
            end
            drop
          end
          local.get $n
          i32.const 1
          i32.sub
          local.tee $n
          br_if $next
        end
        local.get $sum
      end
      return
    end
    global.get $frames.limit
    global.get $frames.top
    i32.sub
    i32.const 24
    i32.lt_u
    if
      i32.const 24
      call $frames.grow
    end
    global.get $frames.top
    local.tee $frame
    local.get $point
    i32.store
    local.get $frame
    local.get $n
    i32.store offset=4
    local.get $frame
    local.get $sum
    i32.store offset=8
    local.get $frame
    local.get 6
    i32.store offset=12
    local.get $frame
    local.get 7
    i32.store offset=16
    local.get $frame
    i32.const 24
    i32.add
    global.set $frames.top
    i32.const 0
  )
  (func $frames.grow (@meld.synthetic resumable-frames) (type 1) (param $size i32)
    local.get $size
    i32.const 16
    i32.shr_u
    i32.const 1
    i32.add
    memory.grow
    i32.const -1
    i32.eq
    if
      call $frames.exhausted
    end
    global.get $frames.limit
    local.get $size
    i32.const 16
    i32.shr_u
    i32.const 1
    i32.add
    i32.const 16
    i32.shl
    i32.add
    global.set $frames.limit
  )
  (func $frames.exhausted (@meld.synthetic resumable-frames) (type 2)
    unreachable
  )
)
