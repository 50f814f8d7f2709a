"""Reads a curated schema, and refuses one that no component could work with."""

from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.settings import received
from pipeline.errors import ConfigError

_DOMAINS = {"int_domain": "INT", "float_domain": "FLOAT", "string_domain": "BYTES", "bool_domain": "INT"}
"""Domains that belong to one type; TFDV ignores them on another, silently."""


def read_schema(path: Path) -> schema_pb2.Schema:
    """Reads a schema in text form, with or without a byte order mark.

    Raises:
      ConfigError: the file is missing or no schema (names the line), or its features cannot be used (names the first).
    """
    try:
        schema = text_format.Parse(path.read_text(encoding="utf-8-sig"), schema_pb2.Schema())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: the schema is missing. Remove the key `schema` to have one inferred.") from error
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else f"not UTF-8 at byte {error.start}"
        raise ConfigError(f"{path}: the schema cannot be read: {cause}.") from error
    except text_format.ParseError as error:
        raise ConfigError(f"{path}: not a TensorFlow Metadata schema: {' '.join(str(error).split())}.") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not a TensorFlow Metadata schema: nested too deeply.") from error
    if not schema.feature:
        raise ConfigError(f"{path}: the schema has no features. Remove the key `schema` to have one inferred.")
    names: set[str] = set()
    for feature in schema.feature:
        if not feature.name:
            raise ConfigError(f"{path}: a feature has no name.")
        where = f"{path}: feature {received(feature.name)}"
        if feature.name in names:
            raise ConfigError(f"{where}: it is there twice. Keep one.")
        names.add(feature.name)
        _check_feature(feature, schema, where)
    return schema


def _check_feature(feature: schema_pb2.Feature, schema: schema_pb2.Schema, where: str) -> None:
    kind = schema_pb2.FeatureType.Name(feature.type)
    if kind not in ("INT", "FLOAT", "BYTES"):
        raise ConfigError(f"{where}: type: expected INT, FLOAT or BYTES. Received: {kind if feature.type else 'none'}.")
    domain = feature.WhichOneof("domain_info")
    if domain == "domain":
        defined = [entry.name for entry in schema.string_domain]
        if feature.domain not in defined:
            raise ConfigError(
                f"{where}: the domain {feature.domain!r} is not defined. Defined: {', '.join(defined) or 'none'}."
            )
    wanted = "BYTES" if domain == "domain" else _DOMAINS.get(domain or "", kind)
    if kind != wanted and not (kind == "INT" and wanted == "BYTES"):
        raise ConfigError(f"{where}: {domain} belongs to the type {wanted}. Received: {kind}.")
    if domain in ("int_domain", "float_domain"):
        limits = getattr(feature, domain)
        if limits.HasField("min") and limits.HasField("max") and not limits.min <= limits.max:
            raise ConfigError(f"{where}: {domain}: min {limits.min:g} lies above max {limits.max:g}.")
    if not 0 <= feature.presence.min_fraction <= 1:
        raise ConfigError(
            f"{where}: presence.min_fraction: expected a number in [0, 1]. Received: {feature.presence.min_fraction:g}."
        )
