"""The rerun gate: what a new span is compared with, how, and what follows from it. Values in, values out."""
