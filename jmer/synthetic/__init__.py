"""Procedural faces that show micro-expressions and know their own truth.

Needs NumPy and OpenCV only; `spec`, which configurations import, needs no OpenCV.
`clips.generate` yields the clips of a `spec.SyntheticSpec`; `clips.render_clip` makes
one of them, and may run in parallel. `layouts.write.synthesize` puts them on disk in
the form of a real data set, for which it needs openpyxl.
"""
