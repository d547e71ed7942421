//! Writes lines into a stream, as a task with a callback: where a write blocks, the task waits for its event.

extern "[export]demo:lines/source" fn @"[stream-new-0]lines"() u64;
extern "[export]demo:lines/source" fn @"[async-lower][stream-write-0]lines"(u32, [*]const u8, u32) u32;
extern "[export]demo:lines/source" fn @"[stream-drop-writable-0]lines"(u32) void;
extern "[export]demo:lines/source" fn @"[task-return]lines"(u32) void;
extern "$root" fn @"[waitable-set-new]"() u32;
extern "$root" fn @"[waitable-set-drop]"(u32) void;
extern "$root" fn @"[waitable-join]"(u32, u32) void;

const blocked = 0xffff_ffff;
const exit: u32 = 0;
const wait: u32 = 2;
const line = "the quick brown fox jumps over the lazy dog\n";

var left: u32 = 0; // lines that are still to be written
var at: u32 = 0; // bytes of the current line that were taken
var writable: u32 = 0;
var set: u32 = 0;

/// What a write answered, or its event: how many bytes were taken, and whether the reader is gone.
fn taken(packed_result: u32) void {
    at += packed_result >> 4;
    if (at == line.len) {
        at = 0;
        left -= 1;
    }
    if (packed_result & 15 != 0) left = 0;
}

fn go() u32 {
    while (left > 0) {
        const result = @"[async-lower][stream-write-0]lines"(writable, line.ptr + at, line.len - at);
        if (result == blocked) return wait | set << 4;
        taken(result);
    }
    @"[waitable-join]"(writable, 0);
    @"[stream-drop-writable-0]lines"(writable);
    @"[waitable-set-drop]"(set);
    return exit;
}

export fn @"[async-lift]demo:lines/source#lines"(count: u32) u32 {
    const ends = @"[stream-new-0]lines"();
    writable = @intCast(ends >> 32);
    set = @"[waitable-set-new]"();
    @"[waitable-join]"(writable, set);
    left = count;
    @"[task-return]lines"(@truncate(ends)); // the caller has its stream; the task goes on
    return go();
}

export fn @"[callback][async-lift]demo:lines/source#lines"(event: u32, handle: u32, result: u32) u32 {
    _ = event;
    _ = handle;
    taken(result);
    return go();
}

export fn cabi_realloc(_: u32, _: u32, _: u32, _: u32) u32 {
    @trap();
}
