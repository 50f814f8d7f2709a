"""Tasks without a process: importers, which bring a location in, and resolvers, which ask for earlier artifacts."""

from pipeline.kubeflow.lint import title
from pipeline.kubeflow.package import Json
from pipeline.kubeflow.rehearse import filters, placeholders
from pipeline.kubeflow.rehearse.errors import TaskError
from pipeline.kubeflow.rehearse.store import Store
from pipeline.kubeflow.rehearse.task_input import Done


def import_artifact(importer: Json, component: Json, inputs: Json, store: Store, run: str, task: str) -> Done:
    """Returns the imported artifact: the one that was imported from there before, unless the file says otherwise.

    Raises:
      TaskError: the location is missing.
    """
    source = importer.get("artifactUri", {})
    uri = source.get("constant", inputs["parameterValues"].get(source.get("runtimeParameter", "")))
    if not isinstance(uri, str) or not uri:
        raise TaskError("the importer has no artifact's URI")
    ((name, _),) = component["outputDefinitions"]["artifacts"].items()
    kind = title(importer["typeSchema"])
    for known, artifact in store.newest_first():
        if not importer.get("reimport") and known == kind and artifact["uri"] == uri:
            return Done(artifacts={name: [artifact]}, parameters={})
    artifact = {
        "name": f"{run}/{task}/{name}",
        "uri": uri,
        "type": importer["typeSchema"],
        "metadata": importer.get("metadata", {}),
    }
    store.add(artifact, kind, run, task)
    return Done(artifacts={name: [artifact]}, parameters={})


def resolve(resolver: Json, inputs: Json, store: Store) -> Done:
    """Returns, for each query, the newest artifact that it matches; none where nothing does.

    Raises:
      TaskError: a query that cannot be answered here.
    """
    found = {}
    everything = store.newest_first()
    for name, query in resolver["outputArtifactQueries"].items():
        asked = placeholders.fill(query.get("filter", ""), {"inputs": inputs, "outputs": {}})
        limit = int(query.get("limit", 1)) or 1
        found[name] = [artifact for kind, artifact in everything if filters.matches(asked, kind, artifact)][:limit]
    return Done(artifacts=found, parameters={})
