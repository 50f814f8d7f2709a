"""The simplest server that people write around a SavedModel: FastAPI, and a call of the model. The benchmark's peer.

python -m uvicorn benchmarks.fastapi_peer:app --port 9000      # with MODEL_DIR set
"""

import os
from typing import Any

import tensorflow as tf
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

app = FastAPI()
loaded = tf.saved_model.load(os.environ["MODEL_DIR"])
model = loaded.signatures["serving_default"]
dtypes = {name: spec.dtype for name, spec in model.structured_input_signature[1].items()}


@app.post("/predict")
async def predict(request: Request) -> JSONResponse:
    """Answers `{"instances": [...]}` as the tutorials do."""
    # Not json.loads alone: FastAPI's own validation of a body would refuse NaN.
    import json

    instances: list[dict[str, Any]] = json.loads(await request.body())["instances"]
    inputs = {name: tf.constant([row[name] for row in instances], dtype) for name, dtype in dtypes.items()}
    outputs = model(**inputs)
    columns = {name: tensor.numpy().tolist() for name, tensor in outputs.items()}
    return JSONResponse([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])
