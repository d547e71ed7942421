import wit_world.exports
from wit_world.imports import store


class User(wit_world.exports.User):
    def go(self, n):
        out = []
        for i in range(n):
            box = store.Box("p" + str(i))
            box.add(list(range(i * 100)))
            out.append(store.describe(box))
            if i % 2:
                box.__exit__(None, None, None)
        return out

    def take(self, b):
        return store.describe(b)
