"""From a video to what a trained network makes of it, and when.

`jmer.predict.scan` reads frames, finds the face, and asks every fold of a run; what it
finds becomes tables and a page (`jmer.predict.page`). Frames go the way that those of
the training set went: the same functions of `jmer.preprocess` by the same recipe.
"""
