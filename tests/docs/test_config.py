"""docs/config.md is what the code declares, and what a root and a command leave behind is on a page."""

import inspect
import re
from pathlib import Path

from docs import config
from pipeline import errors
from pipeline.state.root import Root

DOCS = Path(config.__file__).parent
PAGES = "\n".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md")))


def test_the_page_is_up_to_date():
    assert config.PAGE.read_text(encoding="utf-8") == config.page(), "run `make docs`"


def test_a_row_says_type_range_unit_default_and_meaning():
    text = config.page()

    assert (
        "| `max_p99_ms` | a number in [0, 600_000] | ms | `0.0` | a candidate whose single-row requests "
        "take longer, at the 99th percentile and in milliseconds, is not pushed; 0 for no limit. |\n"
    ) in text
    assert "| `label` |" not in text  # FeatureSpec's label is no key of [features].


def test_every_file_of_a_root_is_on_a_page():
    entries = re.findall(r"^(\S+)   ", inspect.cleandoc(Root.__doc__ or ""), flags=re.MULTILINE)

    assert "decisions.jsonl" in entries
    assert [entry for entry in entries if entry.partition("/")[0] not in PAGES] == []


def test_every_exit_status_of_an_error_is_on_a_page():
    classes = [item for item in vars(errors).values() if inspect.isclass(item)]
    statuses = {item.exit_status for item in classes if issubclass(item, errors.PipelineError)}

    assert [status for status in statuses if not re.search(rf"(?m)(status|^\|) `?{status}\b", PAGES)] == []
