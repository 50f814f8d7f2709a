"""The embedded model server: TensorFlow Serving's REST and gRPC contract, for machines without its binary.

Knows SavedModels and their signatures, and nothing else of this project.
"""
