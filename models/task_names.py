"""What a model can be asked to predict, in words. Nothing is imported here: commands read it before anything heavy."""

from typing import Literal

TaskName = Literal["binary", "multiclass", "regression"]
TransformName = Literal["none", "log1p"]
