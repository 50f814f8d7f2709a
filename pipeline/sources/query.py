"""The two names in a query, `:begin` and `:end`, and what takes their place.

They become literals in the text, not parameters: PostgreSQL's streaming COPY takes none, and without it the driver
holds a whole result in memory. The literals are moments that this program wrote itself, so nothing can be injected.
"""

import re

_TOKENS = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(?<![:\w]):(?P<name>[A-Za-z_]\w*)", re.DOTALL
)
NAMES = ("begin", "end")


def check_query(query: str) -> None:
    """Raises ValueError unless the query has `:begin` and `:end` and no other name after a colon."""
    found = {match["name"] for match in _TOKENS.finditer(query) if match["name"]}
    for name in sorted(found - set(NAMES)):
        raise ValueError(f"query: expected no names but :begin and :end. Received: :{name}.")
    for name in NAMES:
        if name not in found:
            raise ValueError(
                f"query: :{name} is missing, not counting quoted text and comments. A query reads one span: "
                "SELECT ... WHERE time >= :begin AND time < :end."
            )


def fill(query: str, begin: str, end: str) -> str:
    """Returns the query with literals for `:begin` and `:end`; quoted text, comments and `::type` stay as they are."""
    values = {"begin": begin, "end": end}
    return _TOKENS.sub(lambda match: values[match["name"]] if match["name"] else match[0], query).rstrip().rstrip(";")
