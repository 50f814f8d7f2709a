"""Loads SavedModels, batches their requests, runs them, and knows which versions exist."""
