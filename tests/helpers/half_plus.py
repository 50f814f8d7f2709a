"""The models of TensorFlow Serving's own end-to-end tests, made anew: y = x / 2 + b of TF1 and TF2; Keras' too."""

from pathlib import Path

CLASSIFY, REGRESS, PREDICT = (f"tensorflow/serving/{method}" for method in ("classify", "regress", "predict"))


def save_tf1(folder: Path, b: float) -> None:
    """As a TF1 session's builder saves: three signatures, each with its method name."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        half = v1.get_variable("a", initializer=0.5, use_resource=False)
        addend = v1.get_variable("b", initializer=b, use_resource=False)
        serialized = v1.placeholder(tf.string, [None], name="tf_example")
        parsed = tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        x = v1.placeholder_with_default(parsed, [None, 1], name="x")
        y = tf.add(half * x, addend, name="y")
        info = {tensor.op.name: v1.saved_model.utils.build_tensor_info(tensor) for tensor in (serialized, x, y)}

        def signature(inputs, outputs, method):
            return v1.saved_model.build_signature_def(inputs=inputs, outputs=outputs, method_name=method)

        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.builder.SavedModelBuilder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={
                "serving_default": signature({"x": info["x"]}, {"y": info["y"]}, PREDICT),
                "classify_x_to_y": signature({"inputs": info["tf_example"]}, {"scores": info["y"]}, CLASSIFY),
                "regress_x_to_y": signature({"inputs": info["tf_example"]}, {"outputs": info["y"]}, REGRESS),
            },
        )
        builder.save()


def save_tf2(folder: Path, b: float) -> None:
    """As `tf.saved_model.save` saves: every method name is predict's."""
    import tensorflow as tf

    module = tf.Module()
    module.a, module.b = tf.Variable(0.5), tf.Variable(b)

    def y(serialized):
        x = tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        return module.a * x + module.b

    examples = tf.TensorSpec([None], tf.string, name="inputs")
    module.signatures_ = {
        "serving_default": tf.function(
            lambda x: {"y": module.a * x + module.b}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")]
        ),
        "classify_x_to_y": tf.function(lambda inputs: {"scores": y(inputs)}, input_signature=[examples]),
        "regress_x_to_y": tf.function(lambda inputs: {"outputs": y(inputs)}, input_signature=[examples]),
    }
    tf.saved_model.save(module, str(folder), signatures=dict(module.signatures_))


def save_concrete(folder: Path) -> None:
    """A checkpoint with one concrete function: y = 3 * 2 * x."""
    import tensorflow as tf

    root = tf.train.Checkpoint()
    root.v1, root.v2 = tf.Variable(3.0), tf.Variable(2.0)
    root.f = tf.function(lambda x: {"y": root.v1 * root.v2 * x})
    tf.saved_model.save(root, str(folder), root.f.get_concrete_function(tf.TensorSpec(None, tf.float32)))


def save_constants(folder: Path) -> None:
    """Two signatures: the default one answers 1, `custom_signature_key` 2."""
    import tensorflow as tf

    root = tf.train.Checkpoint()
    spec = [tf.TensorSpec(None, tf.float32, name="x")]
    root.f = tf.function(lambda x: {"y": tf.ones_like(x)}, input_signature=spec)
    root.g = tf.function(lambda x: {"y": 2 * tf.ones_like(x)}, input_signature=spec)
    tf.saved_model.save(root, str(folder), signatures={"serving_default": root.f, "custom_signature_key": root.g})


def save_keras(folder: Path, *, distributed: bool = False) -> None:
    """A Sequential model that returns its input, plainly or under a distribution strategy of one device."""
    import contextlib

    import tensorflow as tf
    import tf_keras  # Keras 2, whose inputs and outputs are called after its layers.

    scope = tf.distribute.MirroredStrategy(["/cpu:0"]).scope() if distributed else contextlib.nullcontext()
    with scope:
        model = tf_keras.Sequential([
            tf_keras.layers.Input((1,), dtype="float32", name="x"),
            tf_keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="zeros"),
            tf_keras.layers.Activation("linear", name="y"),
        ])  # fmt: skip
        tf.saved_model.save(model, str(folder))
