"""Trigger conditions: CEL over a task's inputs, as both backends evaluate them.

Source of the language: Common Expression Language, Language Definition. Of its variables a condition sees `inputs`:
`inputs.artifacts['NAME'].artifacts[0].metadata['KEY']` and `inputs.parameter_values['NAME']`.
"""

import re
from collections.abc import Mapping
from typing import Any

import celpy

Json = Mapping[str, Any]  # Any: JSON.

_ARTIFACT = re.compile(r"inputs\.artifacts\['([^']*)'\]")
_PARAMETER = re.compile(r"inputs\.parameter_values\['([^']*)'\]")


class ConditionError(Exception):
    """The expression is no CEL, or asks for what is not there; carries it."""


def check_syntax(expression: str) -> None:
    """Raises ConditionError where the expression does not parse."""
    try:
        celpy.Environment().compile(expression)
    except celpy.CELParseError as error:
        raise ConditionError(f"the condition {expression!r} is not valid CEL: {str(error).splitlines()[0]}") from error


def names(expression: str) -> tuple[frozenset[str], frozenset[str]]:
    """Returns the input artifacts and the input parameters that the expression reads."""
    return frozenset(_ARTIFACT.findall(expression)), frozenset(_PARAMETER.findall(expression))


def holds(expression: str, inputs: Json) -> bool:
    """Evaluates a condition.

    Args:
      inputs: `artifacts`, name to `{"artifacts": [RuntimeArtifact, ...]}`, and `parameter_values`. Numbers are floats,
        as a protobuf Struct holds them; CEL does not compare them with integers.

    Raises:
      ConditionError: an input or a metadata key is missing, types differ, or the answer is not true or false.
    """
    environment = celpy.Environment()
    try:
        program = environment.program(environment.compile(expression))
        value = program.evaluate({"inputs": celpy.json_to_cel(_floats(inputs))})
    except (celpy.CELParseError, celpy.CELEvalError) as error:
        raise ConditionError(f"the condition {expression!r} cannot be evaluated: {error}") from error
    if not isinstance(value, celpy.celtypes.BoolType):
        raise ConditionError(f"the condition {expression!r} gives {value!r}, not true or false")
    return bool(value)


def _floats(value: Any) -> Any:  # Any: JSON.
    """Returns the value with every number a float, as a protobuf Struct has it."""
    if isinstance(value, Mapping):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
