"""The datasets that ship: one folder each, with dataset.toml, a curated schema and where the rows come from."""
