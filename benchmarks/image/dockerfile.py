"""A Dockerfile as instructions, as Docker reads it."""

from dataclasses import dataclass

from benchmarks.pages import REPOSITORY

DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile: its first word, the rest as written on one line, and its line number."""

    word: str
    rest: str
    line: int


def read_dockerfile(text: str) -> list[Instruction]:
    """Returns the instructions; comments go, continued lines are joined.

    Raises:
      ValueError: a here-document, which this reader does not know.
    """
    instructions = []
    words: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if not words:
            first = number
        words.append(line.strip().removesuffix("\\").strip())
        if line.rstrip().endswith("\\"):
            continue
        word, _, rest = " ".join(words).partition(" ")
        if "<<" in rest:
            raise ValueError(f"Dockerfile, line {first}: here-documents are not known")
        instructions.append(Instruction(word.upper(), rest.strip(), first))
        words = []
    return instructions
