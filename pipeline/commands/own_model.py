"""`own-model`: a model of one's own for a dataset, to edit."""

from __future__ import annotations

import argparse
import json

from pipeline import program
from pipeline.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `own-model` reads."""
    options.add_dataset(parser)
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Writes model.py and names it in dataset.toml.

    Raises:
      ConfigError: the dataset ships, or names a module already.
    """
    from pipeline.config.dataset import load_dataset
    from pipeline.errors import ConfigError
    from pipeline.onboarding import own_model

    dataset = load_dataset(args.dataset)
    if dataset.ships:
        raise ConfigError(f"{dataset.path} ships with driftgate. Copy its folder and name the copy: --dataset FOLDER.")
    written = own_model.add(dataset.path, dataset.model)
    path = dataset.path.parent / own_model.FILE
    if args.json:
        print(json.dumps({"file": str(path), "written": written, "dataset": str(dataset.path)}, sort_keys=True))
        return 0
    print(f"{path}: {'written' if written else 'was there, and is named now'}")
    print(f'{dataset.path}: [model] module = "{own_model.FILE}"')
    print(f"Next: {program.line('run', '--dataset', args.dataset)}")
    return 0
