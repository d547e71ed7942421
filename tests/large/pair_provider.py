from componentize_py_types import Err
from wit_world.exports import text


class Text(text.Text if hasattr(text, "Text") else object):
    def shout(self, s):
        return s.upper() + "!"

    def total(self, xs):
        return sum(xs)

    def items(self, prefix, n):
        return [text.Item(prefix + str(i), i, i / 4) for i in range(n)]

    def area(self, s):
        if isinstance(s, text.Shape_Label):
            raise Err("label " + s.value)
        return 3.0 * s.value * s.value if isinstance(s, text.Shape_Circle) else 0.0

    def paint(self, c, p, note):
        return (c, p, None if note is None else note[::-1])
