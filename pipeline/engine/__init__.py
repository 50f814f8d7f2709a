"""Executors that move whole Arrow batches, and what the Beam engine uses in their place."""
