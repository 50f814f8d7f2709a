"""From a stranger's table to a dataset: reads it, proposes a role for every column, writes the folder that `run` takes.

sources    the files of a table: format, encoding, separator; their rows as a stream of batches
readings   how a column's text is read: numbers, dates, booleans, and the words for "missing"
profile    the first pass: what every column holds
label      which column is the label, and which of its values counts as 1
cut        the second pass: typed rows, cut into spans
leaks      columns that tell the answer
roles      what each column is for, and why
folder     dataset.toml, schema.pbtxt and README.md of it all
onboard    the whole of it, in order
"""
