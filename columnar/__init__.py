"""Whole Arrow batches to and from TFX's files: TFRecords, tf.Examples, TFDV statistics, fingerprints of rows."""
