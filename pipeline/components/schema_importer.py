"""Brings the curated schema into the pipeline, by content.

TFX's ImportSchemaGen takes a path and is cached by that path: an edited schema would silently not be used. As a
parameter the text itself is part of the cache key, and no container needs the file.
"""

import os

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Schema
from tfx.utils import io_utils


@component
def SchemaImporter(schema: OutputArtifact[Schema], text: Parameter[str]) -> None:
    """Writes `text`, a schema in text form that the dataset's checks have parsed, as a Schema artifact."""
    io_utils.write_string_file(os.path.join(schema.uri, "schema.pbtxt"), text)
