"""The exceptions of this package.

ModelError
├── ExpressionError  an expression outside the grammar, or over columns that it cannot take
├── FeatureError     a FeatureSpec that contradicts itself, the schema or the data
├── LabelError       a label expression outside the grammar, or rows without a label
├── OwnCodeError     code of the dataset's owner that cannot be used, or that failed
└── TrainingError    hyperparameters out of range, or nothing to train on
"""


class ModelError(Exception):
    """Base of this package's errors; the message says what was expected, what was received and what to do."""


class ExpressionError(ModelError):
    """An expression that the grammar does not allow, or a column of another kind than it needs."""


class FeatureError(ModelError):
    """Features that contradict each other, the schema, or the data that they are computed from."""


class LabelError(ModelError):
    """A label expression that the grammar does not allow, or data that has no label."""


class OwnCodeError(ModelError):
    """Code of the dataset's owner that cannot be read, loaded or called, or that failed; names file and line."""


class TrainingError(ModelError):
    """Hyperparameters out of range, or training data that a model cannot be trained on."""
