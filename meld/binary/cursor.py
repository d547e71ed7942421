"""A place in a binary that moves forward, and knows where it is when something is wrong."""

from __future__ import annotations

from meld.diagnostics import MeldError


class Cursor:
    """Reads from `data` between `pos` and `end`. Every error names the offset in the whole input.

    Args:
        data: the whole input.
        where: its name, for messages.
        start, end: the part to read; `end` is that of the data if None.
        base: offset of `data` in the file it came from.
    """

    __slots__ = ("base", "data", "end", "pos", "where")

    def __init__(
        self, data: bytes | memoryview, where: str = "", start: int = 0, end: int | None = None, base: int = 0
    ) -> None:
        self.data = memoryview(data)
        self.where = where
        self.pos = start
        self.end = len(data) if end is None else end
        self.base = base

    def more(self) -> bool:
        """Whether anything is left."""
        return self.pos < self.end

    def place(self, at: int | None = None) -> str:
        """``file: offset 0x10``: the current place, or that of a position."""
        offset = f"offset {self.base + (self.pos if at is None else at):#x}"
        return f"{self.where}: {offset}" if self.where else offset

    def error(self, message: str, at: int | None = None, hint: str | None = None) -> MeldError:
        """An error at the current position, or at another."""
        return MeldError(message, where=self.place(at), hint=hint)

    def cut_short(self, what: str) -> MeldError:
        """The error of input that ends in the middle of something."""
        return self.error(f"unexpected end in {what}")

    def peek(self) -> int:
        """The next byte, which stays; −1 at the end."""
        return self.data[self.pos] if self.pos < self.end else -1

    def u8(self, what: str) -> int:
        """The next byte."""
        if self.pos >= self.end:
            raise self.cut_short(what)
        self.pos += 1
        return self.data[self.pos - 1]

    def u32(self, what: str) -> int:
        """Unsigned LEB128 of 32 bits."""
        data, pos = self.data, self.pos
        if pos < self.end and (byte := data[pos]) < 128:  # nearly all are of one byte
            self.pos = pos + 1
            return byte
        value = shift = 0
        while pos < self.end and shift < 28:
            byte = data[pos]
            pos += 1
            value |= (byte & 0x7F) << shift
            if byte < 128:
                self.pos = pos
                return value
            shift += 7
        return self._unsigned(32, what)  # five bytes, or malformed

    def u64(self, what: str) -> int:
        """Unsigned LEB128 of 64 bits."""
        pos = self.pos
        if pos < self.end and (byte := self.data[pos]) < 128:
            self.pos = pos + 1
            return byte
        return self._unsigned(64, what)

    def s32(self, what: str) -> int:
        """Signed LEB128 of 32 bits."""
        return self._signed(32, what)

    def s33(self, what: str) -> int:
        """Signed LEB128 of 33 bits."""
        return self._signed(33, what)

    def s64(self, what: str) -> int:
        """Signed LEB128 of 64 bits."""
        return self._signed(64, what)

    def _unsigned(self, bits: int, what: str) -> int:
        at = self.pos
        value, _, _ = self._digits(bits, what)
        if value >> bits:
            raise self.error(f"{what}: integer too large", at)
        return value

    def _signed(self, bits: int, what: str) -> int:
        data, pos, value, shift = self.data, self.pos, 0, 0
        while pos < self.end and shift < 28:
            byte = data[pos]
            pos += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 128:
                self.pos = pos
                return value - (1 << shift) if byte & 0x40 else value
        at = self.pos
        value, width, last = self._digits(bits, what)
        if last & 0x40:
            value -= 1 << width
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise self.error(f"{what}: integer too large", at)
        return value

    def _digits(self, bits: int, what: str) -> tuple[int, int, int]:
        """The bits of a LEB128, how many there are, and its last byte."""
        at, value, shift = self.pos, 0, 0
        while True:
            byte = self.u8(what)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 128:
                return value, shift, byte
            if shift >= bits:
                raise self.error(f"{what}: integer representation too long", at)

    def skip(self, size: int, what: str) -> None:
        """Goes past the next `size` bytes. Raises MeldError if fewer are left; `what` names them in the message."""
        if size > self.end - self.pos:
            raise self.error(f"{what}: {size} bytes announced, {self.end - self.pos} left")
        self.pos += size

    def take(self, size: int, what: str) -> memoryview:
        """The next `size` bytes, not copied. Raises MeldError as `skip` does."""
        start = self.pos
        self.skip(size, what)
        return self.data[start : self.pos]

    def name(self, what: str) -> str:
        """A name."""
        at = self.pos
        size = self.u32(what)
        start = self.pos
        self.skip(size, what)
        try:
            return str(self.data[start : start + size], "utf-8")
        except UnicodeDecodeError:
            raise self.error(f"{what}: malformed UTF-8", at) from None

    def count(self, what: str) -> int:
        """The length of a vector; each of its items takes a byte at least, so it cannot be more than what is left."""
        at = self.pos
        if at < self.end and (count := self.data[at]) < 128:
            self.pos = at + 1
        else:
            count = self.u32(f"count of {what}")
        if count > self.end - self.pos:
            raise self.error(f"{count} {what} announced, {self.end - self.pos} bytes left", at)
        return count

    def sub(self, size: int, what: str) -> Cursor:
        """A cursor over the next `size` bytes, which this one skips; offsets stay those of the whole."""
        start = self.pos
        self.skip(size, what)
        return Cursor(self.data, self.where, start, self.pos, self.base)
