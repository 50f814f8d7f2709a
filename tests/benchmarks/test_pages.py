import re

import pytest

from benchmarks import pages


def test_a_table_is_replaced_between_its_markers_and_nothing_else_is(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n<!-- cost -->\nold\n<!-- end of cost -->\nafter\n<!-- power -->\np\n<!-- end of power -->\n"
    )

    pages.write_table(page, "cost", "| new |\n")

    expected = "# Page\n<!-- cost -->\n| new |\n<!-- end of cost -->\nafter\n<!-- power -->\np\n<!-- end of power -->\n"
    assert page.read_text() == expected


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<!-- cost -->\n",
        "<!-- end of cost -->\n<!-- cost -->\n",
        "<!-- cost -->\n<!-- cost -->\n<!-- end of cost -->",
    ],
)
def test_a_page_without_the_markers_is_left_as_it_was(tmp_path, content):
    page = tmp_path / "page.md"
    page.write_text(content)

    with pytest.raises(ValueError, match=r"page.md must hold <!-- cost --> and then <!-- end of cost -->, once each"):
        pages.write_table(page, "cost", "| new |")

    assert page.read_text() == content


@pytest.mark.parametrize("page", sorted(pages.DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_marker_of_the_docs_has_its_end(page):
    markers = re.findall(r"^<!-- (.+) -->$", page.read_text(encoding="utf-8"), re.MULTILINE)

    opened = [name for name in markers if not name.startswith("end of ")]
    assert markers == [marker for name in opened for marker in (name, f"end of {name}")]
