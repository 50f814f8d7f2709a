"""Values between JSON, protobuf messages and tensors."""
