"""A model with an operation that TensorFlow's own library lacks. TensorFlow's wheel ships one such library."""

from pathlib import Path

import pytest

from tests.helpers.model_server import launch, start, stop


@pytest.fixture(scope="module")
def microfrontend(tmp_path_factory):
    """The base path of a model of audio features, its library, and what the model answers to a wave."""
    import tensorflow as tf
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op as op

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="audio")], autograph=False)
    def features(audio):
        return {"features": tf.cast(op.audio_microfrontend(tf.cast(audio, tf.int16), num_channels=8), tf.int32)}

    module = tf.Module()
    module.features = features
    base_path = tmp_path_factory.mktemp("audio")
    tf.saved_model.save(module, str(base_path / "1"), signatures=features)
    wave = [(step % 80 - 40) * 300 for step in range(1000)]
    library = Path(op.__file__).with_name("_audio_microfrontend_op.so")
    return base_path, library, wave, features(tf.constant(wave))["features"].numpy().tolist()


def test_a_model_with_an_operation_of_its_own_answers_as_in_tensorflow(microfrontend):
    base_path, library, wave, expected = microfrontend

    server = start(base_path, "--op-library", str(library))
    answer = server.predict({"inputs": wave})

    assert stop(server) == 0
    assert any(any(frame) for frame in expected)
    assert answer.json["outputs"] == expected


def test_without_the_library_the_load_says_what_is_missing(microfrontend, tmp_path):
    server = launch(tmp_path, "--model-base-path", str(microfrontend[0]), "--load-retries", "0")

    assert server.process.wait(timeout=90) == 1
    last = server.log.read_text().splitlines()[-1]
    assert last.startswith("error: ")
    assert "Op type not registered 'AudioMicrofrontend'" in last
    assert last.endswith("Name the library that has it with --op-library.")
