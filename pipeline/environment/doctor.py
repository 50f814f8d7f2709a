"""Looks at this machine and says, finding by finding, what the pipeline needs and how to repair what is missing.

Runs with any Python 3.11 to 3.13, before anything is installed too: what needs TFX is asked in a process of its own, in
a checkout of `.venv`'s interpreter, else of the one that the package is installed for.
"""

import argparse
import importlib
import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline import REPOSITORY, program
from pipeline.environment import bootstrap

# The distributions whose versions decide whether TFX works; the rest follows from the lock.
FAMILY = (
    "tfx",
    "tensorflow",
    "tensorflow-data-validation",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "ml-metadata",
    "tfx-bsl",
    "apache-beam",
    "keras",
    "protobuf",
    "pyarrow",
)
# Where TFX defines each component; `tfx.components` swallows import errors and holds None instead.
COMPONENTS = {
    "CsvExampleGen": "tfx.components.example_gen.csv_example_gen.component",
    "ImportExampleGen": "tfx.components.example_gen.import_example_gen.component",
    "FileBasedExampleGen": "tfx.components.example_gen.component",
    "StatisticsGen": "tfx.components.statistics_gen.component",
    "SchemaGen": "tfx.components.schema_gen.component",
    "ImportSchemaGen": "tfx.components.schema_gen.import_schema_gen.component",
    "ExampleValidator": "tfx.components.example_validator.component",
    "ExampleDiff": "tfx.components.example_diff.component",
    "DistributionValidator": "tfx.components.distribution_validator.component",
    "Transform": "tfx.components.transform.component",
    "Trainer": "tfx.components.trainer.component",
    "Tuner": "tfx.components.tuner.component",
    "Evaluator": "tfx.components.evaluator.component",
    "InfraValidator": "tfx.components.infra_validator.component",
    "BulkInferrer": "tfx.components.bulk_inferrer.component",
    "Pusher": "tfx.components.pusher.component",
}

# The wheels' platform cannot be mended from inside an installation; a checkout borrows libraries for it.
NEWER_SYSTEM = (
    "Take a newer system (Debian 13, Ubuntu 24.04), or a checkout, whose `make install` borrows newer libraries."
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at: `found` in words, and `remedy` where it is not as it should be (else empty)."""

    name: str
    found: str
    remedy: str = ""


def check_python() -> Finding:
    version = f"{platform.python_version()} ({sys.executable})"
    supported = sys.version_info[:2] in bootstrap.SUPPORTED_PYTHON
    return Finding(name="Python", found=version, remedy="" if supported else "Install Python 3.11, 3.12 or 3.13.")


def check_platform() -> Finding:
    glibc = bootstrap.system_glibc()
    old = glibc is not None and glibc < bootstrap.REQUIRED_GLIBC
    found = f"{platform.system()} {platform.machine()}, glibc {'.'.join(map(str, glibc)) if glibc else 'none'}"
    try:
        bootstrap.check_platform()
        if old and not program.CHECKOUT:
            return Finding(name="platform", found=found, remedy=NEWER_SYSTEM)
        if old:
            libraries = bootstrap.VENV / "runtime-libraries"
            found += (
                f", borrowed libraries in {bootstrap.VENV.name}/runtime-libraries"
                if libraries.exists()
                else ", none borrowed yet"
            )
            if not libraries.exists():
                bootstrap.distribution()
                return Finding(name="platform", found=found, remedy="Run `make install`: it borrows newer libraries.")
    except bootstrap.BootstrapError as error:
        return Finding(name="platform", found=found, remedy=str(error))
    return Finding(name="platform", found=found)


def check_disk() -> Finding:
    folder = bootstrap.ROOT if program.CHECKOUT else Path.cwd()
    free_gb = shutil.disk_usage(folder).free / 1e9
    remedy = "" if free_gb >= 1 else f"Free at least 1 GB in {folder}."
    return Finding(name="disk", found=f"{free_gb:.1f} GB free", remedy=remedy)


def check_environment() -> Finding:
    if not program.CHECKOUT:
        return check_requirements()
    if not bootstrap.STAMP.exists():
        return Finding(name="environment", found="incomplete", remedy="Run `make install`.")
    if bootstrap.STAMP.read_text() != bootstrap.fingerprint():
        return Finding(name="environment", found="made from another lock or Python", remedy="Run `make install`.")
    return Finding(name="environment", found="complete, as in requirements.lock")


def check_requirements() -> Finding:
    """Compares what the installed package asks for with what is installed beside it."""
    from packaging.requirements import Requirement

    wrong = []
    for text in importlib.metadata.requires(program.INSTALLED) or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = "nothing"
        if version == "nothing" or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name}{requirement.specifier} (found: {version})")
    found = f"installed in {REPOSITORY}"
    if wrong:
        return Finding(name="environment", found=f"{found}, without {', '.join(wrong)}", remedy=_anew())
    return Finding(name="environment", found=f"{found}, with all that it requires")


def _anew() -> str:
    """Returns how the environment is made anew."""
    if program.CHECKOUT:
        return "Run `rm -rf .venv && make install`."
    return f"Install it again, into a new environment: `pip install {program.INSTALLED}`."


def check_imports() -> list[Finding]:
    """Imports every TFX component from where it is defined, so that a failure shows its real cause."""
    findings = []
    for name in FAMILY:
        try:
            findings.append(Finding(name=name, found=importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            findings.append(
                Finding(name=name, found="not installed", remedy="Run `make install`." if program.CHECKOUT else _anew())
            )
    for name, module in COMPONENTS.items():
        try:
            component = getattr(importlib.import_module(module), name)
        except Exception as error:  # noqa: BLE001 - whatever an import raises is the finding.
            cause = f"{type(error).__name__}: {error}"
            findings.append(Finding(name=name, found=cause, remedy=f"Repair that import, or: {_anew()}"))
            continue
        if component is None:
            findings.append(Finding(name=name, found="None", remedy=_anew()))
        else:
            findings.append(Finding(name=name, found="imports"))
    return findings


def examine() -> list[Finding]:
    """Returns every finding about this machine, the environment's imports included where it exists."""
    findings = [check_python(), check_platform(), check_disk(), check_environment()]
    python = bootstrap.VENV / "bin" / "python" if program.CHECKOUT else Path(sys.executable)
    if not python.exists():
        return findings
    command = [str(python), "-m", "pipeline.environment.doctor", "--imports-only", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=bootstrap.ROOT)
    try:
        findings += [Finding(**entry) for entry in json.loads(answer.stdout.splitlines()[-1])["findings"]]
    except (ValueError, IndexError, KeyError):
        last = (answer.stderr.strip().splitlines() or ["no output"])[-1]
        findings.append(Finding(name="imports", found=last, remedy=_anew()))
    return findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `doctor` reads."""
    parser.add_argument("--imports-only", action="store_true", help="only import TFX's components, in this process")
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def command(args: argparse.Namespace) -> int:
    """Prints what was found. Exit status: 0 nothing to repair, 1 something is."""
    findings = check_imports() if args.imports_only else examine()
    healthy = not any(finding.remedy for finding in findings)
    if args.json:
        print(json.dumps({"healthy": healthy, "findings": [asdict(finding) for finding in findings]}))
        return 0 if healthy else 1
    for finding in findings:
        print(f"{'ok ' if not finding.remedy else 'BAD'}  {finding.name:28} {finding.found}")
        if finding.remedy:
            print(f"     {'':28} -> {finding.remedy}")
    return 0 if healthy else 1


def main(argv: list[str] | None = None) -> int:
    """Runs the command by itself, as `make doctor` does where nothing else can be imported."""
    parser = argparse.ArgumentParser(prog="doctor", description="Say what the pipeline needs and what was found.")
    add_arguments(parser)
    return command(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
