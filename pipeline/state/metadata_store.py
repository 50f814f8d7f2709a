"""A root's ML Metadata, opened to write beside what TFX writes."""

from pathlib import Path
from typing import Any


def open_store(metadata: Path) -> Any:  # Any: ml_metadata is untyped.
    """Returns the MetadataStore of a SQLite file, made where there is none. The caller holds the root's lock."""
    import ml_metadata
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(metadata)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return ml_metadata.MetadataStore(config)
