"""Makes TensorFlow's protocol buffers importable without importing TensorFlow.

The generated modules below `tensorflow/core` are plain Python, but importing one runs `tensorflow/__init__.py`, which
takes seconds and hundreds of megabytes that a server of TensorFlow's C library never needs. `install` puts a package
of that name in its place that only knows where its submodules are. The first use of anything else of TensorFlow
imports it in full, so code that shares the process with the server notices nothing.
"""

import importlib
import importlib.util
import sys
import types
from pathlib import Path

from serving.errors import OptionsError


class TensorFlowMissingError(OptionsError):
    """TensorFlow is not installed where the server runs."""


def tensorflow_folder() -> Path:
    """Returns the folder of the installed TensorFlow package; imports nothing.

    Raises:
      TensorFlowMissingError: there is none.
    """
    module = sys.modules.get("tensorflow")
    if module is not None and module.__spec__ is None:
        return Path(next(iter(module.__path__)))
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise TensorFlowMissingError(
            "The embedded server needs the package tensorflow. Run `make install`, or outside a checkout "
            "`pip install tensorflow`."
        )
    return Path(spec.origin).parent


def install() -> None:
    """Puts the light package in place; does nothing where TensorFlow has been imported already."""
    if "tensorflow" in sys.modules:
        return
    light = _Package("tensorflow")
    light.__path__ = [str(tensorflow_folder())]
    sys.modules["tensorflow"] = light


class _Package(types.ModuleType):
    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get("tensorflow") is self:
            del sys.modules["tensorflow"]
        return getattr(importlib.import_module("tensorflow"), name)
