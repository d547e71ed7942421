;; An import that implements an interface goes by a name of its own. `--link` feeds it: from the export that has the name of
;; the interface, or from one that is named after `#`. Without it the import is left to the host, and a remark says so.
;; meldc: {} ../inputs/stores.wat --stop-after=link
;; remark: the import `users` of `implements` is left to the host; `stores` could feed it: --link=implements:users=stores#shop:api/store
;; check: (import "users" (implements "shop:api/store") (instance
;; meldc: {} ../inputs/stores.wat --stop-after=link --link=implements:users=stores --link=implements:old=stores#archive
;; check: (alias export $stores "shop:api/store" (instance (;1;)))
;; check: (alias export $stores "archive" (instance (;2;)))
;; check: (with "users" (instance 1)
;; check: (with "old" (instance 2)
;; meldc: {} ../inputs/stores.wat --stop-after=link --link=implements:users=stores#shop:api/stor
;; error: `stores` has no export `shop:api/stor` for the import `users` of `implements`
;; hint: did you mean `shop:api/store`?
(component
  (import "users" (implements "shop:api/store") (instance (export "get" (func (param "key" u32) (result u32)))))
  (import "old" (implements "shop:api/store") (instance (export "get" (func (param "key" u32) (result u32))))))
