"""Reads a span's raw files (CSV, Parquet, Avro, TFRecord) into flat Arrow batches typed by the schema."""
