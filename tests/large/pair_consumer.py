import wit_world
from componentize_py_types import Err
from wit_world.imports import text


class WitWorld(wit_world.WitWorld):
    def run(self, n):
        parts = [text.shout("grüße €😀"), str(text.total(list(range(n))))]
        parts += [f"{i.name}:{i.count}:{i.price}" for i in text.items("it", n % 7)]
        parts += [str(text.area(text.Shape_Circle(2.0))), str(text.area(text.Shape_Dot()))]
        try:
            text.area(text.Shape_Label("né"))
        except Err as e:
            parts.append(e.value)
        parts.append(repr(text.paint(text.Color.GREEN, text.Perm.READ | text.Perm.EXEC, "abc")))
        return " ".join(parts)

    def again(self, xs):
        return [text.shout(x) for x in xs]
