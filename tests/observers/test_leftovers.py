"""What plugins leave is verified without being asked for: no invalid module gets past the compiler, and who left it is
named."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from meld.cli import main
from meld.verify.engine import leftover_fault

PROGRAM = """(module
  (memory $m 1)
  (data $d (i32.const 0) "x")
  (global $g (mut i32) (i32.const 6))
  (func $one (export "one") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $two (export "two") (result i32) (call $one (i32.const 2))))
"""

PLUGIN = '''
from meld import Function, Instruction, Module, Pass, PassContext
from meld.ir.module import CustomSection, Export, Memory
from meld.ir.types import I64, FuncType, Limits, TypeDef

class Bad(Pass):
    """Leave what is not valid."""
    name = "bad"
    repeatable = True

    def run(self, module: Module, cx: PassContext) -> None:
        one, two = module.functions
        cx.allows("break", one)
        {code}

class Good(Pass):
    """Leave everything as it is."""
    name = "good"
    repeatable = True

    def run(self, module: Module, cx: PassContext) -> None:
        for function in module.functions:
            function.instructions
'''

BAD = {
    "a string among instructions": 'one.instructions.append("nop")',
    "a value too few": "del one.instructions[0]",
    "a value too many": 'one.instructions.append(Instruction("i32.const", (1,)))',
    "another type": 'one.instructions[1] = Instruction("i64.const", (1,))',
    "an unknown instruction": 'one.instructions.append(Instruction("i32.frob"))',
    "an instruction without its immediate": 'one.instructions[0] = Instruction("local.get")',
    "an immediate too many": 'one.instructions[2] = Instruction("i32.add", (1,))',
    "a number out of range": 'one.instructions[1] = Instruction("i32.const", (1 << 40,))',
    "a float for a number": 'one.instructions[1] = Instruction("i32.const", (1.5,))',
    "a local that is not there": 'one.instructions[0] = Instruction("local.get", (7,))',
    "a negative local": 'one.instructions[0] = Instruction("local.get", (-1,))',
    "a function of nobody": 'two.instructions[1] = Instruction("call", (Function(one.type, name="x", body=one.body),))',
    "a block without end": 'one.instructions.insert(0, Instruction("block", (None,)))',
    "an end too many": 'one.instructions.append(Instruction("end"))',
    "a function taken out": "module.functions.remove(one)",
    "an export twice": "module.exports.append(module.exports[0])",
    "an export of a string": 'module.exports.append(Export("three", "one"))',
    "another type of a function": "one.type = TypeDef(FuncType((), (I64,)))",
    "a type that is none": "one.type = FuncType((), ())",
    "no body": "one.body = None",
    "a memory with less than nothing": "module.memories[0].limits = Limits(2, 1)",
    "text for data": 'module.datas[0].data = "x"',
    "a start function with parameters": "module.start = one",
    "an immutable global that is set": """module.globals[0].mutable = False
        two.instructions[:0] = [Instruction("i32.const", (1,)), Instruction("global.set", (module.globals[0],))]""",
    "a number for a name": "module.exports[0].name = 3",
    "instructions that are no list": "one.view().instructions = None",
    "a string for a type of a local": 'one.view().locals.append("i32")',
    "a string among the functions": 'module.functions.append("f")',
    "a string among the custom sections": 'module.customs.append("x")',
    "a change behind its back": """import threading
        late = threading.Timer(0.0, one.instructions.clear)
        late.start()
        late.join()""",
    "a verifier that finds nothing": """import meld.verify.engine
        meld.verify.engine.leftover_fault = lambda *given, **named: None
        del one.instructions[0]""",
    "no functions": "module.functions = None",
    "facts that are no list": 'module.facts = "merged"',
    "a string among the notes": 'module.notes.append("x")',
    "a list that holds itself": """endless = []
        endless.append(endless)
        one.instructions[1] = Instruction("i32.const", (endless,))""",
    "a name that has no form": 'module.exports[0].name = "\\ud800"',
    "too much": "one.instructions[:0] = [Instruction('nop')] * 7_700_000",
    "too many locals": "one.code.locals += [module.globals[0].type] * 60_000",
    "a generator": "yield one",
    "another thing for a program": 'return "a program"',
    "an end of the process": "raise SystemExit(0)",
    "what nobody catches": "raise type('Odd', (BaseException,), {})()",
    "what cannot say what it is": "raise type('Odd', (Exception,), {'__str__': lambda self: 1 // 0})()",
    "an error of numbers": "from meld import MeldError; raise MeldError(3, hint=4)",
    "a context of its own": "cx.stats = None",
    "no end": "self.run(module, cx)",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "m.wat").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", BAD)
def test_no_invalid_module_gets_past(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("meld.verify.engine.leftover_fault", leftover_fault)  # put back what a plugin replaces
    (here / "bad.py").write_text(PLUGIN.replace("{code}", BAD[kind]))
    args = ["m.wat", "--plugin=bad.py", "--passes=good,bad,good", "-o", "out.wasm"]
    assert main(args) == 2
    err = capsys.readouterr().err
    assert "defect of meldc" not in err and "Traceback" not in err
    assert not (here / "out.wasm").exists()
    if kind == "a verifier that finds nothing":  # the engine still looks at the product, which the last pass left
        assert "the product is not valid" in err and "--verify=each says which pass left it" in err
        return
    assert "pass bad" in err
    if "MeldError" in BAD[kind]:  # it says itself what the user did wrong
        return
    if kind == "too much":  # a replay takes differences of millions of lines
        return
    text = (here / "meldc-reproducer.wat").read_text()
    assert "@pass bad" in text
    assert main(["replay", "meldc-reproducer.wat", "--allow-commands"]) != 70
    assert "internal error" not in capsys.readouterr().err


CLASSES = {
    "no name for a name": ("name = 3", "its `name` is 3"),
    "a name with blanks": ('name = "b ad"', "its `name` is 'b ad'"),
    "a string for facts": ('requires = "merged"', "write for example `requires = frozenset"),
    "numbers for facts": ("establishes = {1, 2}", "its `establishes` is {1, 2}"),
    "a string for passes": ('after = "finish"', "its `after` is 'finish'"),
    "a number for passes": ("before = 3", "its `before` is 3"),
    "another language": ("reads = str", "it takes `Module` or `Component`"),
    "no language": ("writes = None", "it takes `Module` or `Component`"),
    "an option of a strange type": ("size: set = option((), 'x')", "a type that options cannot have"),
    "an argument that nobody gives": ("def __init__(self, x): pass", "missing 1 required positional argument"),
    "an end of the process": ("import sys; sys.exit(0)", "plugin does not load: SystemExit: 0"),
    "what nobody catches": ("raise GeneratorExit", "plugin does not load: GeneratorExit"),
    "a fact from itself": ('requires = establishes = frozenset({"mine"})', "needs the fact `mine`"),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_what_classes_declare(here: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    line, message = CLASSES[kind]
    text = PLUGIN.replace("{code}", "pass").replace("PassContext\n", "PassContext, option\n", 1)
    (here / "bad.py").write_text(text.replace('name = "bad"', f'name = "bad"\n    {line}'))
    assert main(["m.wat", "--plugin=bad.py", "--passes=good,bad", "-o", "out.wasm"]) == 2
    err = capsys.readouterr().err
    assert message in err and "defect of meldc" not in err
    assert not (here / "out.wasm").exists()


def test_what_a_plugin_prints(here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """It goes to standard error: standard output is for the product. Folders and streams are put back."""
    code = """import os, sys
        print("mine")
        sys.stdout.buffer.write(b"bytes")
        os.chdir("/")
        sys.stdout.close()
        sys.stderr = None"""
    (here / "bad.py").write_text("print('loaded')\n" + PLUGIN.replace("{code}", code))
    assert main(["m.wat", "--plugin=bad.py", "--passes=bad", "--emit=wasm", "-o", "-"]) == 0
    out, err = capfdbinary.readouterr()
    wasmtime.Module(wasmtime.Engine(), out)
    assert b"loaded" in err and b"mine" in err and b"bytes" in err
    assert Path.cwd() == here


def test_a_valid_program_is_written_with_a_remark(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the checks took long, that is."""
    (here / "bad.py").write_text(PLUGIN.replace("{code}", "pass"))
    assert main(["m.wat", "--plugin=bad.py", "--passes=good,bad", "-o", "out.wasm"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("meld.observers.leftovers.NOTABLE", 0.0)
    (here / "bad.py").write_text(PLUGIN.replace("{code}", "pass"))
    assert main(["m.wat", "--plugin=bad.py", "--passes=good,bad", "-o", "out.wasm"]) == 0
    wasmtime.Module(wasmtime.Engine(), (here / "out.wasm").read_bytes())
    assert "remark: verify: what plugins left is valid" in capsys.readouterr().err


def test_verify_off(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then it is the user's affair; what cannot even be written is still no defect of the compiler."""
    (here / "bad.py").write_text(PLUGIN.replace("{code}", BAD["a value too few"]))
    assert main(["m.wat", "--plugin=bad.py", "--passes=bad", "--verify=off", "-o", "out.wasm"]) == 0
    assert (here / "out.wasm").exists()
    (here / "bad.py").write_text(PLUGIN.replace("{code}", BAD["a string among instructions"]))
    assert main(["m.wat", "--plugin=bad.py", "--passes=bad", "--verify=off", "-o", "out.wasm"]) == 2
    assert "what the plugins left cannot be written" in capsys.readouterr().err


def test_who_is_to_blame(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plugin that got an invalid program is not blamed for it."""
    (here / "m.wat").write_text(PROGRAM.replace("(i32.const 2)", "(i64.const 2)"))
    (here / "bad.py").write_text(PLUGIN.replace("{code}", "pass"))
    assert main(["m.wat", "--plugin=bad.py", "--passes=good", "-o", "out.wasm"]) == 2
    assert "m.wat:6:43: function $two, instruction 1: the input is not valid" in capsys.readouterr().err
    assert not (here / "out.wasm").exists()


def test_a_plugin_without_a_place(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It does not run by itself, which is said; the word `default` puts it behind the others."""
    (here / "bad.py").write_text(PLUGIN.replace("{code}", 'one.instructions[1] = Instruction("i32.const", (40,))'))
    assert main(["m.wat", "--plugin=bad.py", "--emit=wat"]) == 0
    out, err = capsys.readouterr()
    assert "i32.const 40" not in out
    assert "`bad` wishes no place by `after` or `before`, so it does not run; --passes=default,bad runs it" in err
    assert main(["m.wat", "--plugin=bad.py", "--passes=default,bad", "--emit=wat", "-q"]) == 0
    assert "i32.const 40" in capsys.readouterr().out
    stream = [str(Path(__file__).parents[2] / f"examples/stream/{name}.wat") for name in ("producer", "consumer")]
    assert main([*stream, "--plugin=bad.py", "--passes=default,good", "-o", "out.wat", "-q"]) == 0
    assert main([*stream, "-o", "plain.wat", "-q"]) == 0
    assert (here / "out.wat").read_text() == (here / "plain.wat").read_text()


def test_run_takes_the_pipeline(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bad.py").write_text(PLUGIN.replace("{code}", 'one.instructions[1] = Instruction("i32.const", (40,))'))
    assert main(["run", "m.wat", "--plugin=bad.py", "--passes=bad", "--invoke", "two"]) == 0
    assert capsys.readouterr().out == "42\n"
    assert main(["run", "m.wat", "--invoke", "two"]) == 0
    assert capsys.readouterr().out == "3\n"
    (here / "bad.py").write_text(PLUGIN.replace("{code}", BAD["a value too few"]))
    assert main(["run", "m.wat", "--plugin=bad.py", "--passes=bad", "--invoke", "two"]) == 2
