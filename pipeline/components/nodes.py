"""The ids of the pipeline's nodes, by which whatever reads a run finds them. Light: nothing of TFX is imported.

They are part of old roots, of compiled files and of TFX's cache keys: a node keeps its id.
"""

from typing import Final

EXAMPLE_GEN: Final = "ExampleGen"
SCHEMA_GEN: Final = "SchemaGen"
SCHEMA_IMPORTER: Final = "SchemaImporter"
STATISTICS_GEN: Final = "StatisticsGen"
EXAMPLE_VALIDATOR: Final = "ExampleValidator"
LIVE_MODEL: Final = "LiveModel"
RERUN_GATE: Final = "RerunGate"
REFUSE_SPAN: Final = "RefuseSpan"
"""Fails where the gate blocks: a run that only this node breaks off has ended as it should."""
TRAINING_WINDOW: Final = "TrainingWindow"
WINDOW_STATISTICS: Final = "WindowStatistics"
TRANSFORM: Final = "Transform"
TUNING_WINDOW: Final = "TuningWindow"
TUNER: Final = "Tuner"
TRAINER: Final = "Trainer"
EVALUATOR: Final = "Evaluator"
BASELINE_GEN: Final = "BaselineGen"
INFRA_VALIDATOR: Final = "InfraValidator"
PUSHER: Final = "Pusher"
RECORD_OUTCOME: Final = "RecordOutcome"
"""In compiled pipelines only; locally the runner records the outcome."""
