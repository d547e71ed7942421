;; A task of the component's own. A function of synchronous type that has returned may have left tasks that go on, or wait
;; for the host, and no call of the host's that runs them. So one of a function of the component's own is begun, by way of a
;; nested component, since none may call itself (`meld.passes.wrap`). It is a task that has exited; its callback is that of
;; exported functions, so it waits for the host, and ends, as the driver does.

  (func $own_go
    (local $task i32)
    (if (i32.or
          (i32.or (global.get $native) (i32.ne (global.get $root) (i32.const 0)))
          (i32.or (i32.ne (global.get $driver) (i32.const 0)) (i32.ne (global.get $roots) (i32.const 0))))
      (then (return)))
    (local.set $task (call $block_new (i32.const {least})))
    (i32.store $state offset=84 (local.get $task) (i32.const {least}))
    (i32.store $state offset=8 (local.get $task) (i32.const 2))
    (i32.store $state offset=32 (local.get $task) (i32.const 66))
    (global.set $driver (local.get $task)){let_in}
    (call $host.own-task){pressure})

  ;; What it calls: nothing goes on before its callback.
  (func $own_begin (export "own_begin") (result i32)
    (call $host.context.set (global.get $driver))
    (call $host.task.return)
    (i32.const 1))
