"""Asks a model: over REST, or a SavedModel here."""
