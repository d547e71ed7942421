"""`meldc plan`: the pipeline as it will run, and why."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands import add_format
    from meld.commands.compile import pipeline_arguments

    parser.description = "Show the pipeline as it will run on the inputs, with the reasons for its order."
    parser.epilog = """\
examples:
  meldc plan a.wasm b.wasm
  meldc plan a.wasm b.wasm --passes=detect-pairs,emit-bridge,rewire-calls --graph=dot | dot -Tpng -o plan.png"""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="components or a module, .wasm or .wat")
    parser.add_argument("--emit", choices=("component",), help="plan for a component as the product")
    add_format(parser)
    parser.add_argument("--graph", choices=("text", "dot", "svg"), help="the constraint graph instead, in that form")
    pipeline_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Prints the plan. Raises MeldError."""
    from meld.commands.compile import pipeline_options
    from meld.diagnostics import MeldError
    from meld.driver import prepare
    from meld.inputs import read_bodies
    from meld.support.terminal import json_text, say
    from meld.views.plan import graph_dot, graph_svg, graph_text, plan_data, plan_text

    if args.format == "json" and args.graph is not None:
        raise MeldError("--graph is a form of its own; --format=json has the graph in it")
    program, plan = prepare(args.inputs, pipeline_options(args, wrap=args.emit == "component"))
    read_bodies(program)
    if args.format == "json":
        say(json_text(plan_data(plan)))
        return 0
    show = {None: plan_text, "text": graph_text, "dot": graph_dot, "svg": graph_svg}[args.graph]
    say(show(plan), end="")
    return 0
