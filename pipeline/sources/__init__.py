"""Where a dataset's spans come from: `[source]` of dataset.toml, and what pulls them as whole Parquet files."""
