"""What was done before networks: features made by hand, and classifiers fitted to them.

A baseline is a network whose frozen part is everything but the classifier: features
are its `prefix`, computed once a clip, and its weights are found at once by a fit
(`jmer.baselines.svm`) in place of an optimiser's steps. Data, protocols, predictions,
reports and audits are those of any run.
"""
