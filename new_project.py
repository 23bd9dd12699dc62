"""`make new-project`: generate a project, from answers on the command line or typed at the prompts.

Cookiecutter itself ignores a misspelt answer, ends in a traceback on a wrong choice, and aborts without a terminal.
"""

import difflib
import json
import logging
import os
import re
import runpy
import sys
from pathlib import Path

from cookiecutter.exceptions import CookiecutterException, FailedHookException
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parent


def questions():
    """Return the questions of the template, with the default answer or the choices."""
    context = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    return {name: value for name, value in context.items() if not name.startswith("_")}


def given(flags):
    """Return the variables on make's command line, as MAKEFLAGS hands them down.

    There they are exact: in the environment, make has taken `$` for a variable of its own.
    """
    _, _, words = f" {flags} ".partition(" -- ")
    pairs = re.findall(r"(\w+)=((?:\\.|[^\\\s])*)", words)
    return {name: re.sub(r"\\(.)", r"\1", value).replace("$$", "$") for name, value in pairs}


def faults(answers):
    """Return what is wrong with the answers, a line for each."""
    for name, value in answers.items():
        choices = questions().get(name)
        if choices is None:
            close = difflib.get_close_matches(name, questions(), n=1)
            hint = f"did you mean {close[0]}?" if close else f"they are {', '.join(questions())}"
            yield f"{name}: there is no such answer; {hint}"
        elif isinstance(choices, list) and value not in choices:
            yield f"{name}: {value!r} is none of {', '.join(choices)}"
    # What the hook would say, before Cookiecutter makes a folder for it to say it in.
    hook = runpy.run_path(str(TEMPLATE / "hooks" / "pre_gen_project.py"))
    yield from hook["faults"](dict.fromkeys(questions(), "x") | answers)


def main():
    """Return the exit status: 0, or 1 with a line for each thing that is wrong."""
    answers = given(os.environ.get("MAKEFLAGS", ""))
    answers.pop("PYTHON", None)
    output = os.path.expanduser(answers.pop("output_dir", "."))  # noqa: PTH111  (Cookiecutter wants text)
    lines = list(faults(answers))
    logging.getLogger("cookiecutter").setLevel(logging.CRITICAL)  # it logs a traceback under a failed hook's words
    try:
        if not lines:
            cookiecutter(
                str(TEMPLATE),
                no_input=not sys.stdin.isatty(),
                # An answer is text, though cookiecutter would render what is in braces.
                extra_context={name: value.replace("{", "{{ '{' }}") for name, value in answers.items()},
                output_dir=output,
            )
    except FailedHookException:
        return 1  # the hook has said why
    except (CookiecutterException, OSError) as error:
        lines = [str(error)]
    except KeyboardInterrupt:
        lines = ["stopped; nothing was generated"]
    print("".join(f"ERROR: {line}\n" for line in lines), end="", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
