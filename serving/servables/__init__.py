"""SavedModels: loaded, batched, run, and which versions are there."""
