"""What the pipeline runs in: .venv, this machine, Beam's worker processes."""
