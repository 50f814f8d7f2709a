"""The TFX pipeline: configuration, components, the rerun gate, the local engine and the report."""
