"""The pipeline as a file that Vertex AI Pipelines or a Kubeflow cluster runs: compile, check, rehearse, submit."""
