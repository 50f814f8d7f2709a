"""Batching by TensorFlow Serving's parameters: who shares a run, who must not, and what is refused."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serving.errors import Code, OptionsError, ServingError
from serving.servables.batching import BatchingParameters, BatchScheduler, read_parameters
from serving.servables.loaded_model import LoadedModel
from serving.values.tensors import FLOAT, INT32, Tensor
from tests.helpers.model_server import start, stop

# What shares a run fills its batch, which then starts at once; what does not is not kept waiting for long.
NEVER_MICROS, SOON_MICROS = 10**12, 1_000


class Batched:
    """A real model whose runs are counted."""

    def __init__(self, folder, **parameters):
        self.runs: list[tuple[int, ...]] = []
        self.waited: list[float] = []
        self.holding = threading.Event()
        self.holding.set()
        scheduler = BatchScheduler(
            BatchingParameters(**{"batch_timeout_micros": NEVER_MICROS, "num_batch_threads": 1, **parameters}),
            self.waited.append,
        )

        def batched(run, inputs):
            def counted(values):
                assert self.holding.wait(30)
                self.runs.append(values[0].array.shape)
                return run(values)

            return scheduler.batched(counted, inputs)

        self.model = LoadedModel(folder, batched=batched)

    def together(self, signature: str, name: str, *arrays):
        """Asks all at the same time; returns each answer's arrays, or its error."""
        dtype = INT32 if arrays[0].dtype == np.int32 else FLOAT

        def ask(array):
            try:
                return {
                    k: v.array.tolist()
                    for k, v in self.model.signature(signature)({name: Tensor(dtype, array)}).items()
                }
            except ServingError as error:
                return error.code

        with ThreadPoolExecutor(len(arrays)) as pool:
            return list(pool.map(ask, arrays))


@pytest.fixture
def batched(models):
    made = []

    def make(**parameters) -> Batched:
        made.append(Batched(models / "1", **parameters))
        return made[-1]

    yield make
    for each in made:
        each.model.close()


def floats(*values):
    return np.array(values, np.float32)


def test_what_waits_together_is_one_run_and_each_gets_its_own_rows(batched):
    model = batched(max_batch_size=4)

    answers = model.together("serving_default", "x", floats(1), floats(2, 3), floats(4))

    assert answers == [{"y": [2.0]}, {"y": [4.0, 6.0]}, {"y": [8.0]}]
    assert model.runs == [(4,)]
    assert len(model.waited) == 3


def test_a_full_batch_does_not_wait_and_is_not_overfilled(batched):
    model = batched(max_batch_size=2)

    answers = model.together("serving_default", "x", *[floats(value) for value in range(4)])

    assert answers == [{"y": [2.0 * value]} for value in range(4)]
    assert model.runs == [(2,), (2,)]


def test_an_error_stays_with_its_cause(batched):
    model = batched(max_batch_size=2)

    answers = model.together("divide", "i", np.array([1], np.int32), np.array([0], np.int32))

    assert answers == [{"q": [1]}, Code.INVALID_ARGUMENT]


def test_answers_that_do_not_keep_rows_apart_are_computed_alone(batched):
    model = batched(max_batch_size=3)

    assert model.together("total", "x", floats(1, 2), floats(3)) == [{"t": 3.0}, {"t": 3.0}]
    assert model.together("unlike", "x", floats(1, 2), floats(3)) == [
        {"all": [1.0, 2.0], "first": [1.0]},
        {"all": [3.0], "first": [3.0]},
    ]


def test_unlike_shapes_share_a_run_only_when_they_may_be_padded(batched):
    apart = batched(batch_timeout_micros=SOON_MICROS)
    padded = batched(max_batch_size=2, pad_variable_length_inputs=True)
    short, long = floats(1).reshape(1, 1), floats(2, 3).reshape(1, 2)

    assert apart.together("serving_default", "x", short, long) == [{"y": [[2.0]]}, {"y": [[4.0, 6.0]]}]
    assert sorted(apart.runs) == [(1, 1), (1, 2)]
    # The first element fills up.
    assert padded.together("serving_default", "x", short, long) == [{"y": [[2.0, 2.0]]}, {"y": [[4.0, 6.0]]}]
    assert padded.runs == [(2, 2)]


def test_a_batch_is_filled_up_to_an_allowed_size(batched):
    model = batched(max_batch_size=8, allowed_batch_sizes=(4, 8), batch_timeout_micros=SOON_MICROS)

    assert model.together("serving_default", "x", floats(1, 2)) == [{"y": [2.0, 4.0]}]
    assert model.together("serving_default", "x", floats(1, 2, 3, 4, 5)) == [{"y": [2.0, 4.0, 6.0, 8.0, 10.0]}]
    assert model.runs == [(4,), (8,)]


def test_a_large_request_runs_in_parts_where_that_is_enabled(batched):
    model = batched(
        max_batch_size=8,
        enable_large_batch_splitting=True,
        max_execution_batch_size=3,
        batch_timeout_micros=SOON_MICROS,
    )

    assert model.together("serving_default", "x", floats(*range(8))) == [{"y": [2.0 * x for x in range(8)]}]
    assert sorted(model.runs) == [(2,), (3,), (3,)]
    # A sum has no row per row, so the sums of the parts are not its parts.
    assert model.together("total", "x", floats(1, 2, 3, 4)) == [Code.FAILED_PRECONDITION]
    assert model.together("serving_default", "x", floats(*range(9))) == [Code.INVALID_ARGUMENT]


def test_a_full_queue_is_unavailable(batched):
    model = batched(max_batch_size=1, max_enqueued_batches=1)
    model.holding.clear()
    answers: list[object] = []
    clients = [
        threading.Thread(target=lambda: answers.extend(model.together("serving_default", "x", floats(1))))
        for _ in range(6)
    ]
    for client in clients:
        client.start()
    # One is being run, one waits; the others are refused at once.
    while len(answers) < 4:
        clients[0].join(0.01)
    model.holding.set()
    for client in clients:
        client.join()

    assert answers.count(Code.UNAVAILABLE) == 4
    assert answers.count({"y": [2.0]}) == 2


@pytest.mark.parametrize("array", [np.float32(1), floats(*range(9))], ids=["scalar", "too many rows"])
def test_what_cannot_be_batched_is_refused(batched, array):
    assert batched(max_batch_size=8).together("serving_default", "x", np.asarray(array)) == [Code.INVALID_ARGUMENT]


def test_a_parameters_file(tmp_path):
    file = tmp_path / "batching.config"
    file.write_text(
        "max_batch_size { value: 32 } batch_timeout_micros { value: 1000 } max_enqueued_batches { value: 7 }\n"
        "num_batch_threads { value: 3 } allowed_batch_sizes: [8, 16] pad_variable_length_inputs: true\n"
        "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 16 }"
    )

    assert read_parameters(file) == BatchingParameters(
        max_batch_size=32,
        batch_timeout_micros=1000,
        max_enqueued_batches=7,
        num_batch_threads=3,
        allowed_batch_sizes=(8, 16),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=16,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 32", "max_batch_size"),
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1"),
        ("batch_timeout_micros { value: -1 }", "must not be negative"),
        ("allowed_batch_sizes: [8, 4] max_batch_size { value: 4 }", "must rise and end with max_batch_size"),
        ("allowed_batch_sizes: [8]", "must rise and end with max_batch_size, 1000"),
        ("batch_size { value: 1 }", "batch_size"),
        ("max_execution_batch_size { value: 2000 }", "must be at most max_batch_size, 1000"),
        ("max_execution_batch_size { value: 8 }", "needs enable_large_batch_splitting"),
    ],
)
def test_a_wrong_parameters_file_is_wrong_usage(tmp_path, text, message):
    file = tmp_path / "batching.config"
    file.write_text(text)

    with pytest.raises(OptionsError, match="--batching-parameters-file") as caught:
        read_parameters(file)

    assert message in str(caught.value)


def test_a_live_server_with_batching_answers_as_without(models, tmp_path):
    shutil.copytree(models / "1", tmp_path / "1")
    file = tmp_path / "batching.config"
    file.write_text("batch_timeout_micros { value: 2000 }")
    server = start(tmp_path, "--enable-batching", "--batching-parameters-file", str(file))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda value: server.predict({"instances": [value]}).json, range(200)))
    text = server.ask("/monitoring/prometheus/metrics").body.decode()

    assert answers == [{"predictions": [2.0 * value]} for value in range(200)]
    assert ":tensorflow:serving:batching_session:queuing_latency_count 200\n" in text
    assert server.predict({"inputs": 1}).status == 400  # A scalar has no first dimension.
    assert stop(server) == 0
