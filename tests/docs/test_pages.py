"""The docs as a house: every link leads somewhere, every module that a page names exists, every command parses."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
DOCS = REPOSITORY / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
GUIDES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
PAGES = [*GUIDES, DOCS / "decisions" / "README.md", *DECISIONS]
PACKAGES = "columnar|models|pipeline|serving|monitoring|data|deploy|benchmarks|tests|docs"

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(rf"(?<![\w/.])(?:{PACKAGES})/[\w/.-]*\w\.(?:py|md|toml|yml|yaml|json|pbtxt|proto)(?![\w/])")
RUNNER = re.compile(r"(?:local|kubeflow)_runner\.py [a-z-]+[^\n`|]*")


def name(page):
    return str(page.relative_to(REPOSITORY))


@cache
def anchors(page):
    """GitHub's: lower case, spaces to dashes, punctuation gone."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page):
    lost = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            lost.append(target)

    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_a_page_names_exists(page):
    text = LINK.sub("", page.read_text(encoding="utf-8"))

    assert [path for path in PATH.findall(text) if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("page", GUIDES[2:], ids=name)
def test_every_page_is_in_the_index(page):
    index = (DOCS / "README.md").read_text(encoding="utf-8")

    assert page.name == "README.md" or f"({page.name}" in index


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_every_decision_is_in_the_index_under_its_own_title(page):
    number, _, title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").partition(": ")

    assert number == page.name[:4]
    line = f"- [{number}]({page.name}) {title}"
    assert line in (DOCS / "decisions" / "README.md").read_text(encoding="utf-8").splitlines()


def commands():
    """The commands of the runners that the guides show, options and all; a name in capitals stands for a value."""
    shown = set()
    for page in GUIDES:
        for line in RUNNER.findall(page.read_text(encoding="utf-8").replace("\\\n", " ")):
            text = re.split(r"\s#|\s&&|\s>|[;,:)]\s|\.$", line)[0]
            shown.add(" ".join(text.split()))
    return sorted(shown)


@pytest.mark.parametrize("command", commands())
def test_every_option_of_a_command_that_the_guides_show_exists(command):
    runner, verb, *rest = shlex.split(command)
    options = [word.partition("=")[0] for word in rest if word.startswith("--")]

    text = usage(runner, verb)

    assert [option for option in options if not re.search(rf"{option}(?![\w-])", text)] == []


@cache
def usage(runner, verb):
    done = subprocess.run([sys.executable, runner, verb, "--help"], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_verb_of_make_that_the_guides_show_exists():
    verbs = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    shown = {verb for page in GUIDES for verb in re.findall(r"`make ([a-z0-9-]+)", page.read_text(encoding="utf-8"))}
    assert shown - verbs == set()
    assert "test" in shown


def test_every_module_that_the_guides_run_exists():
    shown = {
        module for page in GUIDES for module in re.findall(r"python -m ([a-z_.]+)", page.read_text(encoding="utf-8"))
    }

    ours = {module for module in shown if (REPOSITORY / module.split(".")[0]).is_dir()}
    missing = [
        module
        for module in ours
        if not (REPOSITORY / f"{module.replace('.', '/')}.py").exists()
        and not (REPOSITORY / module.replace(".", "/") / "__main__.py").exists()
    ]
    assert missing == []
    assert "benchmarks.gate" in ours
