"""`make examples`: each variant, generated into `examples/` to be looked at."""

import shutil
from pathlib import Path

from cookiecutter.main import cookiecutter

from tests.variants import ROOT, VARIANTS


def main(folder: Path) -> None:
    """Generate them anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for variant in VARIANTS:
        cookiecutter(str(ROOT), no_input=True, output_dir=str(folder), extra_context=variant.answers)


if __name__ == "__main__":
    main(ROOT / "examples")
