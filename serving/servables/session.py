"""A SavedModel loaded and run by TensorFlow's C library, the interface that its Go, Java and Rust bindings use.

`TF_LoadSessionFromSavedModel` is the loader of TensorFlow Serving itself. Calling it without TensorFlow's Python layer
saves that layer's import (seconds), its memory and, on a signature with fifteen inputs, most of the time of a small
request. The global interpreter lock is released while a graph runs (`CDLL`) and kept in the calls that take a
microsecond (`PyDLL`). See docs/decisions/0500-tensorflow-c-library.md.

Source: tensorflow/c/c_api.h, tf_tensor.h and tf_tstring.h of TensorFlow 2.21.
"""

import ctypes
import functools
import itertools
import os
import sys
from collections.abc import Callable, Sequence
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import Code, TensorFlowError
from serving.protos import tensorflow_folder
from serving.servables import start_up_pages
from serving.values.tensors import STORAGE, STRING, Tensor, dtype_name, strings

_STRING_BYTES = 24  # sizeof(TF_TString)
_SHORT = 22  # Longest text that a TF_TString holds in itself: one byte of size, one of zero at the end.
_SHORT_STRING = np.dtype([("size", "u1"), ("text", "S23")])
_SIZES = [bytes([size << 2]) for size in range(_SHORT + 1)]
_FEW_STRINGS = 32  # Below, Python's own bytes are faster than an array of records.
_MAX_RANK = 254
_NUMPY_MAX_RANK = 64
# A request already has a thread: handing its graph over to TensorFlow's own would only cost time. Only there can a run
# be cancelled, though, and a loop may have no end.
_IN_CALLERS_THREAD, _IN_TENSORFLOWS_THREADS = -1, 0
_LOOPS = ("While", "StatelessWhile", "Enter", "RefEnter")
# What may wait for something outside of the run: a file, a queue, an iterator, a Python function, another process.
_WAITS = (
    "ReadFile",
    "Queue",
    "Iterator",
    "Stage",
    "Unstage",
    "Barrier",
    "PyFunc",
    "EagerPyFunc",
    "Recv",
    "_Recv",
    "Rpc",
)


class _Output(ctypes.Structure):
    _fields_ = (("oper", c_void_p), ("index", c_int))


class _Buffer(ctypes.Structure):
    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


_Deallocator = ctypes.CFUNCTYPE(None, c_void_p, c_size_t, c_void_p)
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {  # Any: ctypes' own types.
    "TF_NewStatus": (c_void_p, ()),
    "TF_DeleteStatus": (None, (c_void_p,)),
    "TF_GetCode": (c_int, (c_void_p,)),
    "TF_Message": (c_char_p, (c_void_p,)),
    "TF_NewGraph": (c_void_p, ()),
    "TF_DeleteGraph": (None, (c_void_p,)),
    "TF_NewSessionOptions": (c_void_p, ()),
    "TF_DeleteSessionOptions": (None, (c_void_p,)),
    "TF_SetConfig": (None, (c_void_p, c_char_p, c_size_t, c_void_p)),
    "TF_NewBuffer": (c_void_p, ()),
    "TF_NewBufferFromString": (c_void_p, (c_char_p, c_size_t)),
    "TF_DeleteBuffer": (None, (c_void_p,)),
    "TF_GraphOperationByName": (c_void_p, (c_void_p, c_char_p)),
    "TF_AllocateTensor": (c_void_p, (c_int, POINTER(c_int64), c_int, c_size_t)),
    "TF_NewTensor": (c_void_p, (c_int, POINTER(c_int64), c_int, c_void_p, c_size_t, _Deallocator, c_void_p)),
    "TF_DeleteTensor": (None, (c_void_p,)),
    "TF_TensorData": (c_void_p, (c_void_p,)),
    "TF_TensorType": (c_int, (c_void_p,)),
    "TF_TensorByteSize": (c_size_t, (c_void_p,)),
    "TF_NumDims": (c_int, (c_void_p,)),
    "TF_Dim": (c_int64, (c_void_p, c_int)),
    "TF_StringCopy": (None, (c_void_p, c_char_p, c_size_t)),
    "TF_StringGetDataPointer": (c_void_p, (c_void_p,)),
    "TF_StringGetSize": (c_size_t, (c_void_p,)),
    "TF_StringDealloc": (None, (c_void_p,)),
}
_SLOW_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        (c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, c_void_p, c_void_p),
    ),
    "TF_SessionRun": (
        None,
        (c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_void_p, c_int, c_void_p, c_int, c_void_p, c_void_p),
    ),
    "TF_CloseSession": (None, (c_void_p, c_void_p)),
    "TF_DeleteSession": (None, (c_void_p, c_void_p)),
}


class _Library:
    """The C library: `fast` keeps the interpreter's lock, `slow` releases it."""

    def __init__(self) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # What goes wrong comes back as a status.
        file = "libtensorflow_cc.2.dylib" if sys.platform == "darwin" else "libtensorflow_cc.so.2"
        path = str(tensorflow_folder() / file)
        self.fast: Any = ctypes.PyDLL(path)  # Any: functions are found by name at run time.
        self.slow: Any = ctypes.CDLL(path)
        for library, signatures in ((self.fast, _SIGNATURES), (self.slow, _SLOW_SIGNATURES)):
            for name, (result, arguments) in signatures.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
        start_up_pages.give_back(("libtensorflow_cc", "libtensorflow_framework"))
        self.packs_short_strings = self._holds_short_strings_as_we_write_them()

    def _holds_short_strings_as_we_write_them(self) -> bool:
        """Compares the library's own short strings with ours: their layout is not part of the documented interface."""
        for text in (b"", b"abc", b"x" * _SHORT):
            cell = ctypes.create_string_buffer(_STRING_BYTES)
            self.fast.TF_StringCopy(ctypes.addressof(cell), text, len(text))
            same = cell.raw == _short_strings([text])
            self.fast.TF_StringDealloc(ctypes.addressof(cell))
            if not same:
                return False
        return True


@functools.cache
def library() -> _Library:
    """Returns TensorFlow's C library, loaded on the first call."""
    return _Library()


class Session:
    """A SavedModel in memory, its variables restored and its tables initialized.

    Attributes:
      signatures: the SavedModel's `SignatureDef`s by name.
      may_wait: whether a run may take long on any input: its graph has a loop, or waits for something outside.
    """

    def __init__(self, folder: Path, *, timeout_s: float) -> None:
        """Loads the SavedModel in `folder`.

        Args:
          timeout_s: a run that takes longer is cancelled, where the graph has a loop.

        Raises:
          TensorFlowError: the SavedModel is broken, or an operation is not part of TensorFlow.
        """
        self._lib = library()
        fast, slow = self._lib.fast, self._lib.slow
        self._graph = fast.TF_NewGraph()
        options, found, status = fast.TF_NewSessionOptions(), fast.TF_NewBuffer(), fast.TF_NewStatus()
        try:
            tags = (c_char_p * 1)(b"serve")
            self._session = slow.TF_LoadSessionFromSavedModel(
                options, None, os.fsencode(folder), tags, 1, self._graph, found, status
            )
            _raise_if_failed(fast, status)
            buffer = _Buffer.from_address(found)
            meta_graph = ctypes.string_at(buffer.data, buffer.length)
        except TensorFlowError:
            fast.TF_DeleteGraph(self._graph)
            raise
        finally:
            fast.TF_DeleteStatus(status)
            fast.TF_DeleteBuffer(found)
            fast.TF_DeleteSessionOptions(options)
        from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

        parsed = meta_graph_pb2.MetaGraphDef.FromString(meta_graph)
        self.signatures: dict[str, Any] = {}  # Any: the generated messages are untyped.
        for name, definition in parsed.signature_def.items():
            self.signatures[name] = meta_graph_pb2.SignatureDef()
            self.signatures[name].CopyFrom(definition)  # Not a part of the whole, which is let go.
        has_loop = _has_any(parsed.graph_def, _LOOPS)
        self.may_wait = has_loop or _has_any(parsed.graph_def, _WAITS)
        run_options = config_pb2.RunOptions(
            timeout_in_ms=max(1, int(timeout_s * 1000)),
            inter_op_thread_pool=_IN_TENSORFLOWS_THREADS if has_loop else _IN_CALLERS_THREAD,
        ).SerializeToString()
        self._run_options = fast.TF_NewBufferFromString(run_options, len(run_options))

    def callable(self, inputs: Sequence[str], outputs: Sequence[str]) -> "Callable[[Sequence[Tensor]], list[Tensor]]":
        """Returns a function from the values of `inputs` to those of `outputs`, for any number of threads at once.

        Args:
          inputs: tensor names such as `serving_default_x:0`.
          outputs: the same.

        Raises:
          TensorFlowError: the graph has no such tensor; the function raises what a run raises.
        """
        fast, slow, session, run_options = self._lib.fast, self._lib.slow, self._session, self._run_options
        num_inputs, num_outputs = len(inputs), len(outputs)
        input_ops = (_Output * num_inputs)(*map(self._tensor, inputs))
        output_ops = (_Output * num_outputs)(*map(self._tensor, outputs))
        input_values, output_values = c_void_p * num_inputs, c_void_p * num_outputs

        def run(values: Sequence[Tensor]) -> list[Tensor]:
            fed, fetched, status = input_values(), output_values(), fast.TF_NewStatus()
            try:
                for index, value in enumerate(values):
                    fed[index] = _to_native(self._lib, value)
                slow.TF_SessionRun(
                    session, run_options, input_ops, fed, num_inputs, output_ops, fetched, num_outputs, None, 0, None,
                    status,
                )  # fmt: skip
                _raise_if_failed(fast, status)
                return [_from_native(fast, pointer) for pointer in fetched if pointer is not None]
            finally:
                for pointer in itertools.chain(fed, fetched):
                    if pointer:
                        fast.TF_DeleteTensor(pointer)
                fast.TF_DeleteStatus(status)

        return run

    def close(self) -> None:
        """Frees the model; the caller has made sure that no run is under way and that none follows."""
        status = self._lib.fast.TF_NewStatus()
        self._lib.slow.TF_CloseSession(self._session, status)
        self._lib.slow.TF_DeleteSession(self._session, status)
        self._lib.fast.TF_DeleteGraph(self._graph)
        self._lib.fast.TF_DeleteBuffer(self._run_options)
        self._lib.fast.TF_DeleteStatus(status)

    def _tensor(self, name: str) -> _Output:
        operation, _, index = name.partition(":")
        pointer = self._lib.fast.TF_GraphOperationByName(self._graph, operation.encode())
        if not pointer:
            raise TensorFlowError(Code.INVALID_ARGUMENT, f"The graph has no tensor {name!r}")
        return _Output(pointer, int(index or 0))


def _has_any(graph: Any, operations: tuple[str, ...]) -> bool:
    """Tells whether a graph or one of its functions has an operation whose name begins so."""
    nodes = itertools.chain(graph.node, *(function.node_def for function in graph.library.function))
    return any(node.op.startswith(operations) for node in nodes)


def _raise_if_failed(fast: Any, status: int) -> None:
    code = fast.TF_GetCode(status)
    if code:
        error_code = Code(code) if code in Code._value2member_map_ else Code.UNKNOWN
        raise TensorFlowError(error_code, fast.TF_Message(status).decode(errors="replace"))


def _to_native(lib: _Library, value: Tensor) -> int:
    """Returns a TF_Tensor with a copy of the value; the caller deletes it."""
    dtype, array = value
    rank = array.ndim
    if rank > _MAX_RANK:
        raise TensorFlowError(Code.INVALID_ARGUMENT, f"A tensor has at most {_MAX_RANK} dimensions. Received: {rank}")
    dims = _dims(array.shape)
    if dtype == STRING:
        return _strings_to_native(lib, array.ravel().tolist(), dims)
    if dtype not in STORAGE:
        raise TensorFlowError(Code.UNIMPLEMENTED, f"Values of the dtype {dtype_name(dtype)} cannot be fed")
    pointer: int = lib.fast.TF_AllocateTensor(dtype, dims, rank, array.nbytes)
    if array.nbytes:
        ctypes.memmove(lib.fast.TF_TensorData(pointer), array.tobytes(), array.nbytes)
    return pointer


@functools.lru_cache(maxsize=1024)
def _dims(shape: tuple[int, ...]) -> "ctypes.Array[c_int64]":
    """Returns a shape as the library reads it."""
    return (c_int64 * len(shape))(*shape)


def _strings_to_native(lib: _Library, values: list[bytes], dims: "ctypes.Array[c_int64]") -> int:
    size = len(values) * _STRING_BYTES
    if not lib.packs_short_strings:
        short, long = [b""] * len(values), list(range(len(values)))
    elif max(map(len, values), default=0) <= _SHORT:
        short, long = values, []
    else:
        short = [value if len(value) <= _SHORT else b"" for value in values]
        long = [index for index, value in enumerate(values) if len(value) > _SHORT]
    packed = _short_strings(short)
    if not long:
        pointer: int = lib.fast.TF_AllocateTensor(STRING, dims, len(dims), size)
        if size:
            ctypes.memmove(lib.fast.TF_TensorData(pointer), packed, size)
        return pointer
    # Long texts are allocated by TensorFlow, and freed when it lets go of the tensor: later than this
    # run where the graph keeps it.
    cells = ctypes.create_string_buffer(packed, size)
    address = ctypes.addressof(cells)
    for index in long:
        lib.fast.TF_StringCopy(address + index * _STRING_BYTES, values[index], len(values[index]))
    _LONG_STRINGS[address] = (cells, long)
    owned: int = lib.fast.TF_NewTensor(STRING, dims, len(dims), address, size, _free_long_strings, None)
    return owned


_LONG_STRINGS: dict[int, tuple[Any, list[int]]] = {}  # By address, as long as TensorFlow holds them.


@_Deallocator
def _free_long_strings(address: int | None, _size: int, _argument: int | None) -> None:
    assert address is not None, "TensorFlow frees what it was given"
    _, long = _LONG_STRINGS.pop(address)
    for index in long:
        library().fast.TF_StringDealloc(address + index * _STRING_BYTES)


def _short_strings(values: list[bytes]) -> bytes:
    """Returns texts of at most 22 bytes as TF_TStrings, one behind the other."""
    if len(values) <= _FEW_STRINGS:
        return b"".join([_SIZES[len(value)] + value.ljust(_STRING_BYTES - 1, b"\0") for value in values])
    cells = np.zeros(len(values), _SHORT_STRING)
    cells["size"] = np.fromiter(map(len, values), np.uint8, len(values)) << 2
    cells["text"] = values
    return cells.tobytes()


def _from_native(fast: Any, pointer: int) -> Tensor:
    dtype = fast.TF_TensorType(pointer)
    shape = tuple([fast.TF_Dim(pointer, axis) for axis in range(fast.TF_NumDims(pointer))])
    if len(shape) > _NUMPY_MAX_RANK:
        raise TensorFlowError(Code.UNIMPLEMENTED, f"An output has {len(shape)} dimensions; at most 64 can be written")
    data, size = fast.TF_TensorData(pointer), fast.TF_TensorByteSize(pointer)
    if dtype == STRING:
        count = size // _STRING_BYTES
        return Tensor(dtype, strings([_text(fast, data + i * _STRING_BYTES) for i in range(count)], shape))
    if dtype not in STORAGE:
        raise TensorFlowError(Code.UNIMPLEMENTED, f"An output has the dtype {dtype_name(dtype)}, which has no values")
    raw = ctypes.string_at(data, size) if size else b""
    return Tensor(dtype, np.frombuffer(raw, STORAGE[dtype]).reshape(shape))


def _text(fast: Any, cell: int) -> bytes:
    return ctypes.string_at(fast.TF_StringGetDataPointer(cell), fast.TF_StringGetSize(cell))
