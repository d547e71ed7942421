"""Reproducers: a failure of a pass as one file, the program before it with what is needed to see it fail again.

What a debugger saves is such a file too, without a message: a program with the passes that are left.

;; A pass of meldc failed on the program below. `meldc replay FILE` runs it again.
;; @message plugin pass `mine` failed: ZeroDivisionError: oops; mine.py, line 12
;; @pass mine{top=3}
;; @plugin mine.py 6f1a…
;; @version 0.1.0
;; @command meldc a.wasm b.wasm --plugin=mine.py
(module …)
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path

from meld.diagnostics import MeldError
from meld.driver import FailedRun, build
from meld.files import print_text, write_file
from meld.support.records import record
from meld.support.terminal import in_utf8

HEAD = ";; A pass of meldc failed on the program below. `meldc replay FILE` runs it again."
MARK = ";; @"


@record()
class Reproducer:
    """What the comments of a reproducer say.

    Attributes:
        message: how the pass failed; empty if none has.
        passes: the pass with its options, or the passes, as a pipeline.
        plugins: plugin files, each with the SHA-256 of its bytes.
        fuel: how many of its rewrites the pass was allowed; None: all.
        verify, run, check: of `meld.observers.verifier.Verifier`.
        version: of meldc.
        command: what was run, for people.
        head: the first line, for people.
    """

    message: str
    passes: str
    plugins: list[tuple[str, str]] = field(default_factory=list)
    fuel: int | None = None
    verify: str | None = None
    run: bool = False
    check: str | None = None
    version: str = ""
    command: str = ""
    head: str = HEAD

    @property
    def runs_code(self) -> bool:
        """Whether a replay runs code that the file names: plugins or a command."""
        return bool(self.plugins or (self.run and self.check))

    def text(self, program: str) -> str:
        """The file."""
        rows = [("message", line) for line in self.message.splitlines()]
        rows += [("pass", self.passes), *(("plugin", f"{shlex.quote(path)} {digest}") for path, digest in self.plugins)]
        rows += [("fuel", str(self.fuel))] if self.fuel is not None else []
        rows += [("verify", self.verify)] if self.verify is not None else []
        rows += [("verify-run", self.check or "")] if self.run else []
        rows += [("version", self.version), ("command", self.command)]
        lines = [self.head, *(f"{MARK}{key} {' '.join(value.splitlines())}" for key, value in rows)]
        return "\n".join([*map(in_utf8, lines), program])

    @classmethod
    def of_text(cls, text: str, where: str) -> Reproducer:
        """Reads the comments at the head of a file. MeldError if there are none."""
        found: dict[str, list[str]] = {}
        for line in text.split("\n"):
            if not line.startswith(";;"):
                break
            if line.startswith(MARK):
                key, _, value = line.removeprefix(MARK).partition(" ")
                found.setdefault(key, []).append(value)
        if not {"pass", "version"} <= found.keys():
            hint = "meldc writes one when a pass fails, and `save` in `meldc debug`"
            raise MeldError("is not a reproducer", where=where, hint=hint)
        one = {key: values[0] for key, values in found.items()}
        try:
            plugins = [(path, digest) for path, digest in map(shlex.split, found.get("plugin", ()))]
            fuel = int(one["fuel"]) if "fuel" in one else None
        except ValueError:
            raise MeldError("its comments are damaged", where=where) from None
        return cls(
            "\n".join(found.get("message", ())),
            one["pass"],
            plugins,
            fuel,
            one.get("verify"),
            "verify-run" in one,
            one.get("verify-run") or None,
            one["version"],
            one.get("command", ""),
        )


def digest_of(path: str) -> str:
    """The SHA-256 of a file's bytes; empty if it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def leave(failure: FailedRun, command: Sequence[str]) -> str | None:
    """Writes the reproducer of a failure where the options of its run say; returns what replays it.

    None if there is nothing to write: no file is named, or what stood before the pass cannot be printed.

    Raises:
        MeldError: the file cannot be written.
    """
    file = failure.options.reproducer
    if file is None:
        return None
    try:
        reproducer, program = _made(failure, command)
    except MeldError:
        return None
    write_file(Path(file), reproducer.text(program).encode())
    allowed = "; it names plugins or a command, which --allow-commands allows" if reproducer.runs_code else ""
    return f"`meldc replay {file}` runs the pass again{allowed}"


def _made(failure: FailedRun, command: Sequence[str]) -> tuple[Reproducer, str]:
    """The reproducer, and the program before the pass as text."""
    from meld import __version__
    from meld.ir.module import Module
    from meld.observers.leftovers import PluginVerifier
    from meld.observers.recorder import Recorder
    from meld.observers.verifier import Verifier

    options = failure.options
    before = build(failure.inputs, replace(options, observers=()), steps=failure.number - 1)
    step = before.plan.steps[failure.number - 1]
    told = [one for o in options.observers if isinstance(o, Recorder) for one in o.listeners]
    verifier = next((o for o in told if isinstance(o, Verifier)), None)
    watched = any(isinstance(o, PluginVerifier) for o in options.observers)
    verify = "each" if watched and isinstance(before.program, Module) else None
    allowed = [count for label, count in options.fuel.items() if label in (step.label, f"{step.label}#1")]
    if options.limit is not None:
        allowed.append(max(0, options.limit - sum(len(ran.context.rewrites) for ran in before.ran)))
    reproducer = Reproducer(
        failure.message,
        step.instance.spec(),
        [(path, digest_of(path)) for path in options.plugins],
        min(allowed, default=None),
        verify if verifier is None else verifier.verify,
        verifier is not None and verifier.run,
        None if verifier is None else verifier.check,
        __version__,
        " ".join(["meldc", shlex.join(command)]),
    )
    return reproducer, print_text(before.program)
