"""The pipeline's own components: thin shells around plain functions."""
