"""What dataset.toml and the caller say, read and checked once, without TensorFlow."""
