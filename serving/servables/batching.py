"""Runs requests that wait together as one batch, by TensorFlow Serving's parameters."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from serving.errors import Code, OptionsError, ServingError, invalid
from serving.servables.loaded_model import Run
from serving.values.tensors import Array, Tensor

_WRAPPED = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
# Newer members, by their numbers; text form reads names only.
_WRAPPED_LATER = {"enable_large_batch_splitting": 8, "max_execution_batch_size": 9}


@dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """How requests are joined.

    Attributes:
      max_batch_size: rows; a larger request is refused, or split where that is enabled.
      batch_timeout_micros: how long a batch that is not full waits for more.
      max_enqueued_batches: per signature of a version; beyond it requests are refused with UNAVAILABLE.
      num_batch_threads: batches that run at once.
      allowed_batch_sizes: rising; a batch is filled up to the next one with copies of a row. Empty: any size.
      pad_variable_length_inputs: tensors of unlike shape are filled up with their first element, and joined.
      enable_large_batch_splitting: requests of up to `max_batch_size` rows run in parts.
      max_execution_batch_size: rows of a part; 0 for `max_batch_size`.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    @property
    def execution_size(self) -> int:
        """The most rows that run at once."""
        return (self.enable_large_batch_splitting and self.max_execution_batch_size) or self.max_batch_size

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(self, name) < 1:
                raise OptionsError(f"{name} must be at least 1. Received: {getattr(self, name)}.")
        if self.batch_timeout_micros < 0:
            raise OptionsError(f"batch_timeout_micros must not be negative. Received: {self.batch_timeout_micros}.")
        if not 0 <= self.max_execution_batch_size <= self.max_batch_size:
            raise OptionsError(
                f"max_execution_batch_size must be at most max_batch_size, {self.max_batch_size}. "
                f"Received: {self.max_execution_batch_size}."
            )
        if self.max_execution_batch_size not in (0, self.max_batch_size) and not self.enable_large_batch_splitting:
            raise OptionsError("max_execution_batch_size needs enable_large_batch_splitting { value: true }.")
        sizes = self.allowed_batch_sizes
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != self.execution_size):
            which = "max_batch_size" if self.execution_size == self.max_batch_size else "max_execution_batch_size"
            raise OptionsError(
                f"allowed_batch_sizes must rise and end with {which}, {self.execution_size}. Received: {list(sizes)}."
            )

    def padded(self, size: int) -> int:
        """Returns the allowed size that a batch of `size` rows is filled up to."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)


def read_parameters(path: Path) -> BatchingParameters:
    """Reads a `BatchingParameters` in text form.

    Raises:
      OptionsError: the file cannot be read, is no such message, or breaks one of its rules.
    """
    try:
        message: Any = text_format.Parse(path.read_text(encoding="utf-8"), _message())
        wrapped = (*_WRAPPED, *_WRAPPED_LATER)
        given = {name: getattr(message, name).value for name in wrapped if message.HasField(name)}
        return BatchingParameters(
            **given,
            allowed_batch_sizes=tuple(message.allowed_batch_sizes),
            pad_variable_length_inputs=message.pad_variable_length_inputs,
        )
    except (OSError, UnicodeDecodeError, text_format.ParseError, OptionsError) as error:
        raise OptionsError(f"--batching-parameters-file {path}: {error}") from error


def _message() -> Any:
    """Returns an empty `BatchingParameters`, which the package tensorflow-serving-api leaves out.

    Source: tensorflow_serving/servables/tensorflow/session_bundle_config.proto.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="serving/batching_parameters.proto",
        package="driftgate.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    one, many = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL, descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    for number, name in enumerate(_WRAPPED, start=1):
        message.field.add(name=name, number=number, label=one, type=11, type_name=".google.protobuf.Int64Value")
    message.field.add(name="thread_pool_name", number=5, label=one, type=11, type_name=".google.protobuf.StringValue")
    message.field.add(name="allowed_batch_sizes", number=6, label=many, type=3)
    message.field.add(name="pad_variable_length_inputs", number=7, label=one, type=8)
    for (name, number), kind in zip(_WRAPPED_LATER.items(), ("BoolValue", "Int64Value"), strict=True):
        message.field.add(name=name, number=number, label=one, type=11, type_name=f".google.protobuf.{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("driftgate.serving.BatchingParameters"))()


@dataclass
class _Task:
    values: Sequence[Tensor]
    size: int
    enqueued: float
    done: threading.Event = field(default_factory=threading.Event)
    result: list[Tensor] | None = None
    error: Exception | None = None


@dataclass
class _Batch:
    key: Any
    run: Run
    due: float
    tasks: list[_Task] = field(default_factory=list)
    size: int = 0


class BatchScheduler:
    """The queues of all signatures, and the threads that run their batches."""

    def __init__(self, parameters: BatchingParameters, observe_queuing: Callable[[float], None]) -> None:
        """Starts the threads.

        Args:
          observe_queuing: gets the microseconds that each request waited.
        """
        self._parameters = parameters
        self._observe_queuing = observe_queuing
        self._changed = threading.Condition()
        self._batches: list[_Batch] = []  # Oldest first.
        for number in range(parameters.num_batch_threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def batched(self, run: Run, inputs: Sequence[str]) -> Run:
        """Returns a run that shares batches with its other callers.

        Args:
          inputs: the names of what it takes, for messages.
        """
        return lambda values: self._enqueue(run, inputs, values)

    def _enqueue(self, run: Run, inputs: Sequence[str], values: Sequence[Tensor]) -> list[Tensor]:
        sizes = {value.array.shape[0] if value.array.ndim else None for value in values}
        if None in sizes:
            raise invalid("Batching session Run() input tensors must have at least one dimension")
        if len(sizes) > 1:
            received = ", ".join(f"{name} {len(value.array)}" for name, value in zip(inputs, values, strict=True))
            raise invalid(
                f"Batching session Run() input tensors must have equal 0th-dimension size. Received: {received}"
            )
        size = next(iter(sizes)) or 0
        if size > self._parameters.max_batch_size:
            raise invalid(f"Task size {size} is larger than maximum input batch size {self._parameters.max_batch_size}")
        step = self._parameters.execution_size
        now = time.monotonic()
        tasks = [_Task(values, size, now)]
        if size > step:
            tasks = [
                _Task([Tensor(value.dtype, value.array[start : start + step]) for value in values], part, now)
                for start in range(0, size, step)
                for part in (min(step, size - start),)
            ]
        shapes = tuple(
            (value.dtype, value.array.ndim if self._parameters.pad_variable_length_inputs else value.array.shape[1:])
            for value in values
        )
        with self._changed:
            for task in tasks:
                self._place(task, run, (id(run), shapes))
            self._changed.notify(len(tasks))
        for task in tasks:
            task.done.wait()
        return _together(tasks)

    def _place(self, task: _Task, run: Run, key: Any) -> None:
        """Adds a task to the last batch of its kind, or to a new one.

        Raises:
          ServingError: UNAVAILABLE, the queue is full.
        """
        last = next((batch for batch in reversed(self._batches) if batch.key == key), None)
        if last is None or last.size + task.size > self._parameters.execution_size:
            if sum(batch.run is run for batch in self._batches) >= self._parameters.max_enqueued_batches:
                raise ServingError(
                    Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
                )
            last = _Batch(key, run, task.enqueued + self._parameters.batch_timeout_micros / 1e6)
            self._batches.append(last)
        last.tasks.append(task)
        last.size += task.size

    def _work(self) -> None:
        while True:
            batch = self._next()
            for task in batch.tasks:
                self._observe_queuing((time.monotonic() - task.enqueued) * 1e6)
            try:
                self._run(batch)
            except Exception:  # noqa: BLE001 - each task finds its own error, and no other's.
                self._run_singly(batch)
            for task in batch.tasks:
                task.done.set()

    def _next(self) -> _Batch:
        with self._changed:
            while True:
                now = time.monotonic()
                for batch in self._batches:
                    if batch.due <= now or batch.size >= self._parameters.execution_size:
                        self._batches.remove(batch)
                        return batch
                soonest = min((batch.due for batch in self._batches), default=None)
                self._changed.wait(None if soonest is None else max(0.0, soonest - now))

    def _run(self, batch: _Batch) -> None:
        size = self._parameters.padded(batch.size)
        joined = [
            Tensor(column[0].dtype, _joined([value.array for value in column], size))
            for column in zip(*(task.values for task in batch.tasks), strict=True)
        ]
        outputs = batch.run(joined)
        if any(not output.array.ndim or output.array.shape[0] != size for output in outputs):
            raise ServingError(Code.FAILED_PRECONDITION, "an output does not have one row per row of its inputs")
        start = 0
        for task in batch.tasks:
            end = start + task.size
            task.result = [Tensor(output.dtype, output.array[start:end]) for output in outputs]
            start = end

    def _run_singly(self, batch: _Batch) -> None:
        for task in batch.tasks:
            try:
                task.result = batch.run(task.values)
            except Exception as error:  # noqa: BLE001 - raised again in the thread of the request.
                task.error = error


def _together(tasks: Sequence[_Task]) -> list[Tensor]:
    """Returns the outputs of a request that ran in parts.

    Raises:
      Exception: what a part raised.
      ServingError: an output does not have one row per row of its inputs, so its parts are not parts of it.
    """
    results = []
    for task in tasks:
        if task.error is not None:
            raise task.error
        assert task.result is not None, "a task ends with a result or an error"
        results.append(task.result)
    if len(tasks) == 1:
        return results[0]
    for task, result in zip(tasks, results, strict=True):
        if any(not output.array.ndim or output.array.shape[0] != task.size for output in result):
            raise ServingError(Code.FAILED_PRECONDITION, "an output does not have one row per row of its inputs")
    return [
        Tensor(parts[0].dtype, np.concatenate([part.array for part in parts])) for parts in zip(*results, strict=True)
    ]


def _joined(arrays: list[Array], size: int) -> Array:
    """Returns arrays of n_i rows as one of `size` rows, filled up with copies of the last row."""
    inner = tuple(max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True))
    padded = [array if array.shape[1:] == inner else _padded(array, inner) for array in arrays]
    missing = size - sum(map(len, arrays))
    if missing:
        last = next(array for array in reversed(padded) if len(array))
        padded.append(np.repeat(last[-1:], missing, axis=0))
    return padded[0] if len(padded) == 1 else np.concatenate(padded)


def _padded(array: Array, inner: tuple[int, ...]) -> Array:
    first = array.flat[0] if array.size else np.zeros(1, array.dtype)[0] if array.dtype != object else b""
    full = np.full((len(array), *inner), first, array.dtype)
    full[tuple(slice(size) for size in array.shape)] = array
    return full
