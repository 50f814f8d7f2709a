"""Operations that TensorFlow itself lacks, from shared libraries: `TF_LoadLibrary`, once for the whole process."""

import os
from collections.abc import Iterable
from ctypes import c_char_p, c_void_p
from pathlib import Path

from serving.errors import OptionsError
from serving.servables.session import library

NOT_REGISTERED = "Op type not registered"  # How TensorFlow begins, of a graph with an operation that it does not know.


def load(files: Iterable[Path]) -> None:
    """Registers the operations of libraries, for every model that is loaded from now on.

    Raises:
      OptionsError: a file is no library of operations, or one for another TensorFlow.
    """
    lib = library()
    load_library = lib.slow.TF_LoadLibrary
    load_library.restype, load_library.argtypes = c_void_p, (c_char_p, c_void_p)
    for file in files:
        status = lib.fast.TF_NewStatus()
        try:
            load_library(os.fsencode(file.absolute()), status)
            if lib.fast.TF_GetCode(status):
                reason = lib.fast.TF_Message(status).decode(errors="replace")
                raise OptionsError(
                    f"--op-library {file} cannot be loaded: {reason}. Expected a shared library of operations that is "
                    "built for the installed TensorFlow."
                )
        finally:
            lib.fast.TF_DeleteStatus(status)
