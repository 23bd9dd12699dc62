"""`make picture`: do in a terminal what README.md begins with, and draw what is seen: `answers.svg`, `resource.svg`."""

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
TYPED = ["Shop API", "", "What we sell", "", "2", "", ""]
"""What is typed at each question; nothing takes the default."""
RESOURCE = ["name=order", "fields=number:string(20):unique user:references status:enum(new,paid)=new note:text?"]
"""What is added to the project then."""
WIDTH = 100


def ask(folder: str) -> str:
    """Generate a project in a folder; return what the terminal shows."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    process = subprocess.Popen(
        [sys.executable, ROOT / "new_project.py"],
        cwd=folder, env=environment, stdin=follower, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    seen, answers = "", iter(TYPED)
    while True:
        try:
            seen += os.read(leader, 10_000).decode()
        except OSError:  # the terminal is closed
            break
        if re.search(r"\)\x1b\[0m: $", seen):  # it waits for an answer
            os.write(leader, f"{next(answers)}\n".encode())
    assert process.wait() == 0, seen
    return seen.replace(os.path.realpath(folder), "~").replace("\r", "")


def add(folder: Path) -> str:
    """Add a resource to a project; return what the terminal shows."""
    python = next(ROOT.glob(".venv/pythons/*/bin/python"))  # it has what a service is developed with
    command = [python, "-B", ROOT / "add.py", "resource", *RESOURCE]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def draw(name: str, command: str, seen: str) -> None:
    """Draw what a terminal shows as SVG, in the fonts that the reader has."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ {command}\n{seen.rstrip()}"))
    picture = console.export_svg(title=" ".join(command.split()[:2]), unique_id=name)
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    lines = [line.rstrip() for line in picture.splitlines()]
    (ROOT / "docs" / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Draw the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        draw("answers", "make new-project", ask(folder))
        [project] = Path(folder).iterdir()
        name, fields = RESOURCE
        typed = fields.replace("=", '="', 1)
        draw("resource", f'make resource {name} {typed}"', add(project))


if __name__ == "__main__":
    main()
