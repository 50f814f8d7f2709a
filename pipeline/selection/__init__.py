"""Choosing a model: configurations scored on spans that came after what they were trained on."""
