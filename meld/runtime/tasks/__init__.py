"""A model of the Component Model's async ABI, in Python: what the interpreter does for streams, waitables and tasks.

Component instances hand each other work and data, and none may block another. The model has five ideas:

*Tasks and threads* (`scheduler`). Each call of a lifted function is a task; what executes it is a thread. A thread is a
Python generator that yields where it can go no further; the event it waits for queues it again (`wake`), and it
looks for itself whether that was enough. Ready threads run in the order in which they were queued; those that yield
of their own accord run when no other is ready. Nothing ready and the root call not resolved: a deadlock, which traps.
A guest may make more threads for a task, which suspend themselves and switch to one another.

*Frames* (`frames`). Core functions are called from threads, and what they import is called by them. An import that has
to wait cannot leave the native stack by itself: the calling wasm frames are written to memory and given up
(`meld.rewriting.resumable`, applied to the interpreter's copy of the module), the generator yields, and the frames are
put back once the answer is there. Where a frame cannot be given up, the scheduler runs on top of it; such frames resume
last in, first out. Calls that cannot block (`realloc`, copies, starting a callee) nest on the native stack.

*Handles* (`handles`). One table for each instance holds resources, waitable sets, subtasks, ends of streams and futures
and error contexts in one index space.

*Waitables* (`waitables`). What an event can come from: subtasks and ends. An event is computed when it is delivered, so
progress adds up until then. A set hands out the events of its members in the order in which they came.

*Channels* (`channels`). A stream or future buffers nothing. The side that comes first parks its buffer, the second one
copies from memory to memory: bytes as they are where every pattern is a value, else element by element, lifted and
lowered like the parameters of a call.

On these stand the calls (`calls`: `canon lift` and `canon lower` in all combinations) and the canonical built-ins
(`builtins`). `trace` prints what happens. A call ends by `task.return`, whose values are lifted there and lowered into
the caller at once; what it has borrowed or lent is kept in a scope of its own, since calls overlap.

Written from the specification, not from what the compiler generates: where both answer, each checks the other.
Source: Component Model, CanonicalABI.md. Where wasmtime 50 is ahead of it, the engine is followed: `CANCELLED` beats
`COMPLETED`; a drop is reported to an idle other end too; a call does not queue behind those that wait for backpressure;
a call waits while another task has the instance for itself, also if it does not need that; a task whose cancellation is
asked for again is told again;
`task.return` may leave out a memory that it does not need; cancellation reaches only callback waits, yields and pending
starts.
"""
