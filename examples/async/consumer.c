// Reads a stream of lines, as a task with a callback: where a read or a call blocks, the task waits for its event.
typedef unsigned int u32;
typedef unsigned long long u64;
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

IMPORT("demo:lines/source", "[async-lower]lines") u32 lines(u32 count, u32 *readable);
IMPORT("demo:lines/source", "[async-lower][stream-read-0]lines") u32 read(u32 readable, char *buffer, u32 length);
IMPORT("demo:lines/source", "[stream-drop-readable-0]lines") void drop_readable(u32 readable);
IMPORT("$root", "[waitable-set-new]") u32 set_new(void);
IMPORT("$root", "[waitable-set-drop]") void set_drop(u32 set);
IMPORT("$root", "[waitable-join]") void join(u32 waitable, u32 set);
IMPORT("$root", "[subtask-drop]") void subtask_drop(u32 subtask);
IMPORT("[export]$root", "[task-return]run") void task_return(u64 bytes, u32 lines);

enum { EXIT = 0, WAIT = 2, SUBTASK = 1, STARTED = 1, RETURNED = 2, DROPPED = 1 };
static const u32 BLOCKED = 0xffffffff;

static u32 set, readable, newlines, over;
static u64 bytes;
static char buffer[256];

static void arrived(u32 result) {
  for (u32 i = 0; i < result >> 4; i++) newlines += buffer[i] == '\n';
  bytes += result >> 4;
  over = (result & 15) == DROPPED;
}

static u32 go(void) {
  while (!over) {
    u32 result = read(readable, buffer, sizeof buffer);
    if (result == BLOCKED) return WAIT | set << 4;
    arrived(result);
  }
  join(readable, 0);
  drop_readable(readable);
  set_drop(set);
  task_return(bytes, newlines);
  return EXIT;
}

static u32 begin(void) {
  join(readable, set);
  return go();
}

EXPORT("[async-lift]run") u32 run(u32 count) {
  set = set_new();
  bytes = newlines = over = 0;
  u32 status = lines(count, &readable);
  if ((status & 15) == RETURNED) return begin();
  join(status >> 4, set);
  return WAIT | set << 4;
}

EXPORT("[callback][async-lift]run") u32 run_callback(u32 event, u32 handle, u32 result) {
  if (event != SUBTASK) {
    arrived(result);
    return go();
  }
  if (result != RETURNED) return WAIT | set << 4;
  join(handle, 0);
  subtask_drop(handle);
  return begin();
}

EXPORT("cabi_realloc") void *cabi_realloc(void *old, u32 old_size, u32 align, u32 size) { __builtin_trap(); }
