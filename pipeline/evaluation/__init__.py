"""How a model is measured, overall and per slice, and when it may go live."""
