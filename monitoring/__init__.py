"""From served requests back to the next decision, and to the metrics that people look at."""
