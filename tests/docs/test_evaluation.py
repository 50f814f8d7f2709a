"""docs/evaluation.md says what the registry of metrics says."""

from docs import evaluation


def test_the_page_is_up_to_date():
    assert evaluation.FILE.read_text(encoding="utf-8") == evaluation.page(), "run `make docs`"
