"""`make picture`: ask the questions of the template in a terminal, and draw what is seen as `docs/answers.svg`."""

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


def draw(seen: str) -> str:
    """Return what a terminal shows as SVG, in the fonts that the reader has."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ make new-project\n{seen.rstrip()}"))
    picture = console.export_svg(title="make new-project", unique_id="answers")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


def main() -> None:
    """Draw the picture."""
    with tempfile.TemporaryDirectory() as folder:
        picture = draw(ask(folder))
    lines = [line.rstrip() for line in picture.splitlines()]
    (ROOT / "docs" / "answers.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
