"""`make new-project`: generate a project, from answers on the command line or typed at the prompts.

    python new_project.py database=postgresql output_dir=~/code

Cookiecutter itself ignores a misspelt answer, ends in a traceback on a wrong choice, refuses a name when all else has
been typed, and aborts without a terminal.
"""

import difflib
import json
import logging
import os
import runpy
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cookiecutter.config import get_user_config
from cookiecutter.exceptions import CookiecutterException, FailedHookException
from cookiecutter.generate import generate_context
from cookiecutter.main import cookiecutter
from cookiecutter.prompt import read_user_choice, read_user_variable, render_variable
from cookiecutter.utils import create_env_with_context

TEMPLATE = Path(__file__).resolve().parent
CONTEXT = TEMPLATE / "cookiecutter.json"
HOOK = runpy.run_path(str(TEMPLATE / "hooks" / "pre_gen_project.py"))
"""What the hook would say, before Cookiecutter makes a folder for it to say it in."""


def questions() -> dict[str, Any]:
    """Return the questions of the template, with the default answer or the choices."""
    context = json.loads(CONTEXT.read_text(encoding="utf-8"))
    return {name: value for name, value in context.items() if not name.startswith("_")}


def given(arguments: list[str]) -> dict[str, str]:
    """Return what make hands over: the variables on its command line, as they were typed."""
    return dict(argument.partition("=")[::2] for argument in arguments)


def overlooked(names: Iterable[str], answers: Mapping[str, str]) -> Iterator[str]:
    """Return a line for each answer that is in the environment, where make leaves it."""
    for name in names:
        if name in os.environ and name not in answers:
            yield f"{name}: it is in the environment; write {name}=... behind the command, or unset {name}"


def faults(answers: Mapping[str, str]) -> Iterator[str]:
    """Return what is wrong with the answers, a line for each."""
    names = [*questions(), "output_dir"]
    for name, value in answers.items():
        choices = questions().get(name)
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"they are {', '.join(names)}"
            yield f"{name}: there is no such answer; {hint}"
        elif isinstance(choices, list) and value not in choices:
            yield f"{name}: {value!r} is none of {', '.join(choices)}"
    yield from HOOK["faults"](dict.fromkeys(questions(), "x") | answers)


def complete(answers: Mapping[str, str], defaults: Mapping[str, str], asks: bool) -> dict[str, str]:
    """Return an answer to each question: what was given, the default, or what is typed, until that can be used."""
    context = generate_context(str(CONTEXT), defaults, {name: escaped(value) for name, value in answers.items()})
    labels, env = context["cookiecutter"]["__prompts__"], create_env_with_context(context)
    result: dict[str, str] = {}
    for number, name in enumerate(questions(), 1):
        read = read_user_choice if isinstance(questions()[name], list) else read_user_variable
        while True:
            default = render_variable(env, context["cookiecutter"][name], result)
            if asks:
                answer = read(name, default, labels, f"  [dim][{number}/{len(questions())}][/] ")
            else:
                answer = default[0] if isinstance(default, list) else default
            lines = list(faults(result | {name: str(answer)}))
            if not (asks and lines):
                break
            print("\n".join(f"  {line}" for line in lines))
        result[name] = str(answer)
    return result


def escaped(text: str) -> str:
    """Return text that stays as it is, though Cookiecutter renders it."""
    return text.replace("{", "{{ '{' }}")


def generate(answers: dict[str, str]) -> list[str]:
    """Generate a project; return what is wrong with the answers, a line for each, if it cannot be done."""
    lines = [*overlooked([*questions(), "output_dir"], answers), *faults(answers)]
    if not answers.get("output_dir", "."):
        lines.append("output_dir: it is empty; leave it out for the current folder")
    if lines:
        return lines
    output = os.path.expanduser(answers.pop("output_dir", "."))  # noqa: PTH111  (Cookiecutter wants text)
    defaults = get_user_config()["default_context"]
    ours = {name: str(value) for name, value in defaults.items() if isinstance(questions().get(name), list)}
    lines = [f"{line}; so says your configuration of Cookiecutter" for line in faults(ours)]
    lines += HOOK["strays"](TEMPLATE)
    if not lines:
        answers = complete(answers, defaults, sys.stdin.isatty())
        lines = [*faults(answers), *HOOK["missing_parts"](TEMPLATE, answers)]
    if not lines:
        context = {name: escaped(value) for name, value in answers.items()}
        cookiecutter(str(TEMPLATE), no_input=True, extra_context=context, output_dir=output)
    return lines


def main() -> int:
    """Return the exit status: 0, or 1 with a line for each thing that is wrong."""
    logging.getLogger("cookiecutter").setLevel(logging.CRITICAL)  # it logs a traceback under a failed hook's words
    try:
        lines = generate(given(sys.argv[1:]))
    except FailedHookException:
        return 1  # the hook has said why
    except (CookiecutterException, OSError) as error:
        lines = [" ".join(str(error).split())]
    except (KeyboardInterrupt, EOFError):
        lines = ["stopped; nothing was generated"]
        print(file=sys.stderr)
    print("".join(f"ERROR: {line}\n" for line in lines), end="", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
