"""A sample plugin: `meldc … --passes=count-calls{top=3}`, installed, or with `--plugin=` this file."""

from collections import Counter

from meld import Function, Module, Pass, PassContext, option


class CountCalls(Pass):
    """Count the calls of each function, and say which are called most.

    Calls by name only: what goes through a table is not counted.
    """

    name = "count-calls"
    reads = writes = Module
    requires = frozenset({"merged"})
    repeatable = True
    top: int = option(10, "how many functions to list")

    def run(self, module: Module, cx: PassContext) -> None:
        calls: Counter[Function] = Counter()
        for function in module.functions:
            for instruction in function.instructions:
                if instruction.op == "call":
                    calls[instruction.args[0]] += 1
        for function, count in calls.most_common(self.top):
            cx.stats[function.name] = count
            cx.remark(f"{function.name or 'a function without a name'} is called in {count} place(s)")
