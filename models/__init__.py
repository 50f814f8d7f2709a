"""Features, preprocessing, network, training and signatures, driven by a dataset's FeatureSpec.

Imports nothing of the other packages: a SavedModel and its signatures are all that they need to know.
"""
