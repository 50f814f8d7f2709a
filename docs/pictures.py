"""Makes the pictures of docs/report.md from a real run and a real replay.

python docs/pictures.py --run runs/taxi --span 6 --replay runs/taxi-replay
"""

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.report import files
from pipeline.state.root import Root
from tests.helpers import debian
from tests.helpers.browser import NAMES

FOLDER = Path(__file__).resolve().parent / "pictures"
COLOURS = 96
"""Enough for two colours and their blends; a third of the bytes of a full palette."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, required=True, metavar="ROOT", help="root of a run that pushed a version")
    parser.add_argument("--span", type=int, required=True, metavar="N", help="the span of that run")
    parser.add_argument("--replay", type=Path, required=True, metavar="ROOT", help="root of a replay with --compare")
    args = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        root = Root(args.run.absolute())
        run = files.write(files.find_run(root, args.span), Path(scratch) / "run.html")
        replay = files.write_series(args.replay.absolute(), Path(scratch) / "replay.html")
        browser = playwright.chromium.launch(executable_path=debian.require("chromium", *NAMES), args=["--no-sandbox"])

        def page(path: Path, width: int, height: int, scheme: str) -> Page:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            opened = context.new_page()
            opened.goto(path.as_uri())
            return opened

        shoot(page(run, 1400, 900, "light"), "run-light", None)
        shoot(page(run, 1400, 1000, "dark"), "run-drift-dark", "#drift .cards")
        shoot(page(run, 1400, 1000, "light"), "run-evaluation-light", "#evaluation .cards")
        shoot(page(run, 380, 800, "dark"), "run-narrow-dark", None)
        shoot(page(replay, 1400, 1300, "light"), "replay-light", None)
        shoot(page(replay, 1400, 1300, "dark"), "replay-drift-dark", "#drift")
        browser.close()


def shoot(page: Page, name: str, part: str | None) -> None:
    """Writes what the window shows, or one part of the page with a margin, as a small PNG."""
    path = FOLDER / f"{name}.png"
    if part is None:
        page.screenshot(path=path)
    else:
        box = page.locator(part).bounding_box()
        assert box is not None, part
        page.screenshot(
            path=path,
            full_page=True,
            clip={"x": box["x"] - 24, "y": box["y"] - 24, "width": box["width"] + 48, "height": box["height"] + 48},
        )
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(f"{path.relative_to(FOLDER.parent.parent)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
