"""The pipeline, in data-flow order: one definition for every orchestrator."""

from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.component import SchemaGen
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2
from tfx.utils import proto_utils

from models.own.source import PREPROCESSING
from pipeline.components import engines, nodes, vertex
from pipeline.components.baseline_gen import BaselineGen
from pipeline.components.infra_validator import InfraValidator
from pipeline.components.live_model import LiveModel
from pipeline.components.pusher import Pusher
from pipeline.components.record_outcome import RecordOutcome
from pipeline.components.refuse_span import RefuseSpan
from pipeline.components.rerun_gate import RerunGate
from pipeline.components.schema_importer import SchemaImporter
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.evaluation.tfma_config import eval_config


def create_pipeline(config: PipelineConfig) -> Pipeline:
    """Returns the pipeline of one dataset.

    Where the dataset has no schema yet, it ends with an inferred one for a person to curate: whatever would be
    validated against a schema inferred from the same data passes, so nothing is trained before.
    """
    components = first_contact(config) if config.dataset.schema_path is None else gated_pipeline(config)
    return Pipeline(
        pipeline_name=config.dataset.name,
        pipeline_root=config.pipeline_root,
        components=components,
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(config.metadata_path)
        if config.metadata_path
        else None,
        beam_pipeline_args=list(config.beam_args) or ["--runner=FnApiRunner"],
    )


def first_contact(config: PipelineConfig) -> list[BaseComponent]:
    """Reads and measures the newest span, and infers a schema from it."""
    parts = engines.parts(config.engine)
    examples = parts.example_gen(config)
    statistics = parts.statistics_gen(examples=examples.outputs["examples"])
    schema = SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=False)
    return [examples, statistics, schema]


def gated_pipeline(config: PipelineConfig) -> list[BaseComponent]:
    """From a span to a decision and, only where it says so, to a pushed model."""
    dataset = config.dataset
    parts = engines.parts(config.engine)

    # The newest span, or the one asked for, as tf.Examples split 2 to 1 by the content of each row.
    example_gen = parts.example_gen(config)

    # What a person says the data must look like.
    schema = SchemaImporter(text=config.schema_text())

    # What the span does look like.
    statistics = parts.statistics_gen(examples=example_gen.outputs["examples"], schema=schema.outputs["schema"])

    # TFDV's anomalies are evidence for the gate; the stock component stops nothing by itself.
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])

    # The model in production and what it was trained on.
    live = LiveModel(serving_dir=config.serving_dir, version=config.live_version)

    # Block, skip, recalibrate or rerun.
    gate = RerunGate(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        statistics=statistics.outputs["statistics"],
        anomalies=validator.outputs["anomalies"],
        live_model=live.outputs["model"],
        baseline=live.outputs["baseline"],
        settings=config.gate_settings(),
        state_dir=config.state_dir,
        data_root=config.data_root,
        pattern=dataset.spans.pattern,
        window=dataset.spans.window,
        marker=dataset.spans.marker,
        # Sorted keys: a protobuf map has no order, and the text is part of the cache key.
        ingest=proto_utils.proto_to_json(engines.ingest_config(config).to_proto()),
        floors=config.floors(),
        state_token=config.state_token,
        refused=config.refused,
        thresholds=dataset.thresholds if config.compiled else "",
        evaluated_at=config.evaluated_at,
        forced=int(config.forced),
        remember=int(not config.explain),
    )
    decision = gate.outputs["decision"].future()[0]
    components = [example_gen, schema, statistics, validator, live, gate]

    # A blocked span ends the run as a failure, after the decision has been recorded.
    with Cond(decision.custom_property("block") == 1):
        components.append(RefuseSpan(decision=gate.outputs["decision"]))
    if (config.explain or config.decide) and not config.tune:
        return components

    with Cond(decision.custom_property("rerun") == 1):
        # Train rows of the last spans, held-out rows of the newest.
        window = parts.training_window(
            decision=gate.outputs["decision"],
            data_root=config.data_root,
            pattern=dataset.spans.pattern,
            marker=dataset.spans.marker,
            ingest=engines.ingest_config(config),
            size=dataset.spans.window,
            state_dir=config.state_dir,
        )

        # Vocabularies, quantiles and means, as a graph that travels inside the model.
        transform = parts.transform(
            examples=window.outputs["examples"],
            schema=schema.outputs["schema"],
            preprocessing_fn=config.preprocessing_fn,
            custom_config={
                "features": dataset.features.to_json(),
                "code": config.code_version,
                **config.own_code(PREPROCESSING),
            },
            materialize=False,
            disable_analyzer_cache=True,
            disable_statistics=True,
        )

        # Better hyperparameters than the dataset file's, if there are any: scored on spans over time.
        hyperparameters = gate.outputs["hyperparameters"]
        tuning: list[BaseComponent] = []
        if config.has_tuner:
            tuning = tuner(config, gate, parts, transform, schema)
            hyperparameters = tuning[-1].outputs["best_hyperparameters"]
        if config.tune:
            return [*components, window, transform, *tuning]

        # The statistics that later spans and requests are compared with.
        window_statistics = parts.statistics_gen(
            examples=window.outputs["examples"], schema=schema.outputs["schema"]
        ).with_id(nodes.WINDOW_STATISTICS)

        trainer = vertex.trainer(
            config,
            run_fn="models.training.run_fn",
            examples=window.outputs["examples"],
            transform_graph=transform.outputs["transform_graph"],
            schema=schema.outputs["schema"],
            base_model=live.outputs["model"],
            hyperparameters=hyperparameters,
            train_args=trainer_pb2.TrainArgs(splits=["train"]),
            eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
            custom_config=config.trainer_config(),
        )

        # Against absolute floors and against the live model, overall and per slice.
        evaluator = parts.evaluator(
            examples=window.outputs["examples"],
            model=trainer.outputs["model"],
            baseline_model=live.outputs["model"],
            schema=schema.outputs["schema"],
            eval_config=eval_config(dataset.evaluation, dataset.features.target),
            settings=config.evaluator_settings(),
        ).with_id(nodes.EVALUATOR)

        # What the next spans will be compared with, should this model go live.
        baseline = BaselineGen(
            examples=window.outputs["examples"],
            statistics=window_statistics.outputs["statistics"],
            schema=schema.outputs["schema"],
            model=trainer.outputs["model"],
            model_run=trainer.outputs["model_run"],
            live_baseline=live.outputs["baseline"],
            settings=config.gate_settings(),
        )

        # The candidate, loaded by a model server of its own and asked over REST.
        infra_validator = InfraValidator(
            model=trainer.outputs["model"],
            examples=window.outputs["examples"],
            schema=schema.outputs["schema"],
            baseline=baseline.outputs["baseline"],
            model_name=dataset.serving.model_name,
            max_p99_ms=dataset.serving.max_p99_ms,
        )

        components += [window, transform, *tuning, window_statistics, trainer, evaluator, baseline, infra_validator]
        if not config.push:
            return components

        # Visible to the model server by one rename, with its baseline inside.
        pusher = Pusher(
            infra_blessing=infra_validator.outputs["blessing"],
            model_blessing=evaluator.outputs["blessing"],
            push_destination=pusher_pb2.PushDestination(
                filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=config.serving_dir)
            ),
        )

        # And to an endpoint of Vertex's, where the dataset file names one.
        endpoint_pushers = vertex.endpoint_pushers(
            config,
            after=pusher,
            model=trainer.outputs["model"],
            model_blessing=evaluator.outputs["blessing"],
            infra_blessing=infra_validator.outputs["blessing"],
        )
        components += [pusher, *endpoint_pushers]

        # Locally the runner does so, which also knows how a run broke off.
        if config.compiled:
            record = RecordOutcome(
                decision=gate.outputs["decision"],
                pushed_model=pusher.outputs["pushed_model"],
                state_dir=config.state_dir,
                thresholds=dataset.thresholds,
            )
            components.append(record)
    return components


def tuner(
    config: PipelineConfig, gate: BaseComponent, parts: engines.Parts, transform: BaseComponent, schema: BaseComponent
) -> list[BaseComponent]:
    """Returns the spans that trials are trained and scored on, and the Tuner."""
    from pipeline.components.tuner import Tuner  # Loads KerasTuner and TensorFlow, which most pipelines do without.

    dataset = config.dataset
    window = parts.training_window(
        decision=gate.outputs["decision"],
        data_root=config.data_root,
        pattern=dataset.spans.pattern,
        marker=dataset.spans.marker,
        ingest=engines.ingest_config(config),
        size=dataset.spans.window + dataset.tuning.folds,
        state_dir=config.state_dir,
    ).with_id(nodes.TUNING_WINDOW)
    found = Tuner(
        examples=window.outputs["examples"],
        schema=schema.outputs["schema"],
        transform_graph=transform.outputs["transform_graph"],
        hyperparameters=gate.outputs["hyperparameters"],
        custom_config={
            **config.trainer_config(),
            "tuning": dataset.tuning.to_json(),
            "window": str(dataset.spans.window),
            "directory": f"{config.state_dir}/tuning",
        },
    )
    return [window, found]
