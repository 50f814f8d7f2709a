"""Each message of the page is one that the program prints."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "troubleshooting.md"


def test_every_message_is_in_the_code():
    sources = " ".join(
        path.read_text(encoding="utf-8")
        for room in ("pipeline", "monitoring", "driftgate", "models")
        for path in (REPOSITORY / room).rglob("*.py")
    )
    code = re.sub(r'"\s*\n\s*f?"', "", sources)  # Texts that a line break divides.

    def is_said(message):
        """What stands between values must be there, piece by piece: `';'` and 3 are values."""
        pieces = [piece.strip() for piece in re.split(r"'[^']*'|\b\d+\b", message)]
        return all(piece in code for piece in pieces if piece)

    messages = re.findall(r"^\| `([^`]+)`", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(messages) > 20
    assert [message for message in messages if not is_said(message)] == []
