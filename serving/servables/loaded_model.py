"""One version in memory: its signatures, how to run them, and how to describe them."""

import functools
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.errors import Code, ServingError, invalid
from serving.servables.session import Session
from serving.values import tensor_proto
from serving.values.tensors import Tensor
from serving.values.typed_rows import TypedRows

DEFAULT_SIGNATURE = "serving_default"

Run = Callable[[Sequence[Tensor]], list[Tensor]]
Batched = Callable[[Run, Sequence[str]], Run]


@dataclass(frozen=True)
class Signature:
    """One signature of a SavedModel, ready to run.

    Attributes:
      inputs: dtypes by name, in the order in which `run` takes values.
      outputs: names, in the order in which `run` returns values.
      defaults: by name, the values of inputs that a request may leave out.
      rows: reads requests of plain rows.
    """

    name: str
    inputs: Mapping[str, int]
    outputs: tuple[str, ...]
    run: Run
    defaults: Mapping[str, Tensor]
    rows: TypedRows

    def __call__(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Runs the signature on exactly its inputs.

        Raises:
          ServingError: what the graph raises, with its own code.
        """
        return dict(zip(self.outputs, self.run([feeds[name] for name in self.inputs]), strict=True))


class LoadedModel:
    """A SavedModel ready to answer. As a context manager, it is held: `close` waits for those who hold it."""

    def __init__(
        self,
        folder: Path,
        *,
        timeout_s: float = 30.0,
        batched: Batched | None = None,
        checks_method_names: bool = False,
    ) -> None:
        """Loads the version in `folder`.

        Args:
          timeout_s: a run that takes longer is cancelled.
          batched: wraps the run of a signature so that requests share it; see `serving.batching`.
          checks_method_names: classify and regress want a signature whose method name says so.

        Raises:
          ServingError: the SavedModel is broken.
        """
        self.folder = folder
        self.checks_method_names = checks_method_names
        self._session = Session(folder, timeout_s=timeout_s)
        self.definitions = self._session.signatures
        self._batched = batched
        self._lock = threading.Condition()
        self._users = 0
        self._signatures: dict[str, Signature] = {}

    @property
    def runs_at_once(self) -> bool:
        """Whether a run waits for nothing: not for others, as batches do, and not for what its graph may wait for."""
        return self._batched is None and not self._session.may_wait

    def signature(self, name: str) -> Signature:
        """Returns a signature that has inputs.

        Raises:
          ServingError: there is no such signature, or it cannot be run.
        """
        try:
            return self._signatures[name]
        except KeyError:
            return self._signatures.setdefault(name, self._make_signature(name))

    def run(self, signature: Signature, feeds: Mapping[str, Tensor], outputs: Sequence[str] = ()) -> dict[str, Tensor]:
        """Runs a signature for some of its outputs, all where none is named.

        Raises:
          ServingError: what the graph raises, with its own code.
        """
        if not outputs:
            return signature(feeds)
        definition = self.definitions[signature.name]
        run = self._session.callable(
            [definition.inputs[name].name for name in signature.inputs],
            [definition.outputs[name].name for name in outputs],
        )
        return dict(zip(outputs, run([feeds[name] for name in signature.inputs]), strict=True))

    @functools.cached_property
    def described(self) -> str:
        """The `metadata` of the metadata call as JSON: every signature of the SavedModel."""
        signatures = json_format.MessageToDict(
            self.signature_map(), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return json.dumps({"signature_def": signatures})

    def signature_map(self) -> Any:
        """Returns the `SignatureDefMap` of the metadata call."""
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for key, definition in self.definitions.items():
            signatures.signature_def[key].CopyFrom(definition)
        return signatures

    def __enter__(self) -> "LoadedModel":
        with self._lock:
            self._users += 1
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._lock.notify_all()

    def close(self) -> None:
        """Waits for the requests under way, then frees the model; the caller has made sure that no new ones come."""
        with self._lock:
            self._lock.wait_for(lambda: self._users == 0)
        self._session.close()

    def _make_signature(self, name: str) -> Signature:
        definition = self.definitions.get(name)
        if definition is None:
            raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature name: "{name}" not found in signature def')
        if not definition.inputs:
            raise invalid(f'Serving signature name: "{name}" has no inputs')
        inputs, outputs = sorted(definition.inputs), sorted(definition.outputs)
        for key in inputs + outputs:
            info = definition.inputs[key] if key in definition.inputs else definition.outputs[key]
            if not info.name:
                raise invalid(
                    f'Serving signature name: "{name}": {key!r} is sparse or composite, which is not supported'
                )
        run = self._session.callable(
            [definition.inputs[key].name for key in inputs], [definition.outputs[key].name for key in outputs]
        )
        if self._batched is not None:
            run = self._batched(run, inputs)
        dtypes = {key: definition.inputs[key].dtype for key in inputs}
        defaults = {key: tensor_proto.read(value, key) for key, value in definition.defaults.items() if key in dtypes}
        return Signature(name, dtypes, tuple(outputs), run, defaults, TypedRows(name, dtypes))
