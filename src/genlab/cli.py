"""`genlab COMMAND OVERRIDES...`: the one way in, as is every file of scripts/.

Nothing heavy is imported before a command needs it: help, `list` and a mistake in the command line
answer in well under a second.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

HELP = """\
genlab: train, compare and reproduce generative models

  genlab train [OVERRIDES]        train; with no override: diffusion on handwritten digits
  genlab train -m A=1,2 B=x,y     a sweep over all combinations
  genlab sample run=RUN           draw from a trained model
  genlab evaluate run=RUN         measure it
  genlab report RUN               write report.html for a run, or compare the cells of a sweep
  genlab compare A B              is B better than A? with an interval, or it cannot tell
  genlab reproduce [ROW ...]      published numbers, run again, with a verdict each
  genlab board                    a live page over all runs, in the browser, without an account
  genlab export run=RUN to=DIR    weights as safetensors, config and card: to hand on
  genlab prepare kind=KIND ...    curate raw files: rules, a ledger of removals, a card
  genlab list [GROUP]             the groups, their options, the experiments
  genlab list runs                the runs below outputs/, the newest first
  genlab play run=A,B             a page to ask runs side by side, and to judge pairs blind
  genlab check [OVERRIDES]        compose and build without training: parameters, shapes, memory

`genlab COMMAND --help` shows a command's keys and examples.
An override is group=option (model=vae), or key=value (net.width=96). RUN is a run folder or "last".
A run folder is made under outputs/ ($GENLAB_OUTPUTS). Data is looked for under data.root, then
$GENLAB_DATA. Own YAML files: --config-dir FOLDER; own classes: trust=[my_package].
Shell completion: eval "$(genlab -sc install=bash)"
"""
# what each command calls; train is below
CALLS = {
    "sample": "genlab.runs.sample:sample_command",
    "evaluate": "genlab.runs.evaluate:evaluate_command",
    "report": "genlab.runs.report:report_command",
    "compare": "genlab.runs.compare:compare_command",
    "reproduce": "genlab.runs.reproduce:reproduce_command",
    "board": "genlab.runs.board:board_command",
    "play": "genlab.runs.play:play_command",
    "export": "genlab.runs.export:export_command",
    "prepare": "genlab.runs.prepare:prepare_command",
    "list": "genlab.runs.list:print_list",
    "check": "genlab.runs.check:check_command",
}
COMMANDS = ("train", *CALLS)


def main(argv: list[str] | None = None) -> None:
    from genlab.runs.say.answer import answer
    from genlab.runs.say.terminal import outlive, warn_plainly

    argv = list(sys.argv[1:] if argv is None else argv)
    outlive()
    warn_plainly()
    if argv[:1] in (["-sc"], ["--shell-completion"]):
        sys.exit(answer(lambda: complete(argv)))
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return
    if argv[0] in ("-V", "--version"):
        from genlab import __version__

        print(__version__)
        return
    command, rest = argv[0], argv[1:]
    if command not in COMMANDS:
        from genlab.runs.say.errors import USER, nearest

        remedy = nearest(command, COMMANDS)
        if "=" in command:
            remedy = f"; write genlab train {command}"
        print(f"genlab: there is no command {command!r}{remedy}", file=sys.stderr)
        sys.exit(USER)
    try:
        os.getcwd()
    except FileNotFoundError:
        print("genlab: the working folder is gone: cd to one that is there", file=sys.stderr)
        sys.exit(2)
    code = answer(lambda: run(command, rest), rest)
    if code - 128 in signal.valid_signals():
        from genlab.runs.say.terminal import say

        say(f"genlab: ended by {signal.Signals(code - 128).name}")
    sys.exit(code)


def run(command: str, rest: list[str]) -> None:
    if any(word in ("-h", "--help") for word in rest):
        from genlab.runs.settings.help import print_help

        print_help(command)
    elif command == "train":
        train(rest)
    else:
        module, _, name = CALLS[command].partition(":")
        getattr(importlib.import_module(module), name)(rest)


def train(rest: list[str]) -> None:
    """One run; a sweep, or whatever else asks Hydra for something, is handed over to Hydra."""
    import hydra

    from genlab.runs import train as runs
    from genlab.runs.folder.resume import only_changeable
    from genlab.runs.settings.conf import conf_dir
    from genlab.runs.settings.flags import for_hydra, own_folder, read_words

    rest, asked = read_words(rest)
    if any(word.startswith("resume=") for word in asked.overrides):
        only_changeable(asked.overrides)
    if asked.config_dir:
        os.environ["GENLAB_CONFIG_DIR"] = asked.config_dir
    if not for_hydra(rest, asked.overrides):
        runs.one(asked.overrides, *own_folder(asked))
        return
    from genlab.runs.sweeps import end

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to `answer`, which prints one line
    sys.argv = ["genlab", *rest]
    runs.codes.clear()  # of a command before, in the same process
    end.codes.clear()
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="train")(runs.job)()
    except (SystemExit, KeyboardInterrupt):
        end.tell_how_to_go_on()
        raise
    finally:
        end.remove_unstarted()
    if code := max([*runs.codes, *end.codes], default=0):
        raise SystemExit(code)


def complete(argv: list[str]) -> None:
    """Hydra's completion behind genlab's sub-commands."""
    line = os.environ.get("COMP_LINE", "")
    if any("query=" in a for a in argv) and line:
        words = line.split(" ")
        if len(words) <= 2:
            print(" ".join(c for c in COMMANDS if c.startswith(words[-1] if words[1:] else "")))
            return
        os.environ["COMP_LINE"] = " ".join([words[0], *words[2:]])
        point = int(os.environ.get("COMP_POINT", len(line))) - len(words[1]) - 1
        os.environ["COMP_POINT"] = str(max(0, point))
    train(argv)


if __name__ == "__main__":
    main()
