"""The model of this dataset, your own. Every function here is optional: what you remove is done by driftgate.

    [model]
    module = "model.py"        # in dataset.toml, beside this file

driftgate checks this file before each run, trains with it, and trains anew when you edit it. It may import packages
that are installed wherever the pipeline runs, and files of this folder, which travel along (import layers_of_mine).
"""

import keras
import numpy as np
from keras import layers


def build_model(spec):
    """Returns one member of the ensemble: a Keras model whose output is (rows, spec.outputs).

    spec.features         name to dtype, shape of a row, and size: an id's number of values, 0 of a number
    spec.task             binary, multiclass or regression
    spec.outputs          1 logit, a logit of each class, or value, lower and upper end of a regression
    spec.hyperparameters  [training] of dataset.toml: hidden_units, dropout, embedding_size, ...
    spec.seed             of this member

    Loss, optimizer, early stopping, calibration and the served signatures are driftgate's, so the last layer has no
    activation.
    """
    inputs = spec.inputs()
    parts = []
    for name, feature in spec.features.items():
        x = inputs[name]
        if feature.size:
            x = layers.Embedding(feature.size, spec.hyperparameters.embedding_size)(x)
        elif not feature.shape:
            x = layers.Reshape((1,))(x)
        parts.append(x)
    x = layers.Concatenate()(parts)
    for units in spec.hyperparameters.hidden_units:
        x = layers.Dense(units, activation="gelu")(x)
        x = layers.Dropout(spec.hyperparameters.dropout)(x)
    return keras.Model(inputs, layers.Dense(spec.outputs)(x))


def metrics(labels, predictions, weights):
    """Returns further figures of rows that were not trained on; they stand in the report beside driftgate's own."""
    del labels
    return {"mean_prediction": np.average(predictions, axis=0, weights=weights).max()}


# Plain TensorFlow Transform: raw columns of [features] in, what the model takes out. The columns that [label] names are
# there too; what you compute from them is kept away from the model.
#
# def preprocessing_fn(inputs, config):
#     amount = tf.sparse.to_dense(inputs["amount"])[:, 0]
#     return {"amount": tft.scale_to_z_score(amount)}
#
# Or everything, as in TFX: train on fn_args.train_files, write a SavedModel to fn_args.serving_model_dir. Its
# serving_default takes serialized tf.Examples, or one input for each column, and answers probabilities.
#
# def run_fn(fn_args):
#     ...
