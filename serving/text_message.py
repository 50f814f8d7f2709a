"""Small messages in protocol buffers' text form whose definitions the package tensorflow-serving-api leaves out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

STRING, BOOL = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
_PACKAGE = "driftgate.serving"

Fields = Mapping[str, "tuple[int, int | Fields]"]  # By name: the number, and the type or the fields of a message.


def read(path: Path, name: str, fields: Fields) -> Any:  # Any: a message made here has no class that a reader knows.
    """Reads a message from a file.

    Raises:
      ValueError: the text is no such message, or not UTF-8.
      OSError: the file cannot be read.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"serving/{name}.proto", package=_PACKAGE, syntax="proto3")
    _describe(file, name, fields)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))()
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message)
    except text_format.ParseError as error:
        raise ValueError(f"{path} is no {name} in text form: {str(error).replace(f'{_PACKAGE}.', '')}") from error


def _describe(file: descriptor_pb2.FileDescriptorProto, name: str, fields: Fields) -> None:
    message = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        if isinstance(kind, int):
            message.field.add(name=field, number=number, label=1, type=kind)  # type: ignore[arg-type] # The enum's number.
        else:
            inner = f"{name}_{field}"
            _describe(file, inner, kind)
            message.field.add(name=field, number=number, label=1, type=_MESSAGE, type_name=f".{_PACKAGE}.{inner}")
