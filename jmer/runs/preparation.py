"""What is done to a video before a network of a run sees it, in words."""

import json
from typing import Any

from jmer.bundle.layout import ArraySpec
from jmer.data.config import DataConfig

MEANING = {
    "clip": "frames of the face, red, green and blue, in order of time",
    "special": "further images of the face, red, green and blue, as recipe.special has "
    "them",
    "flow": "motion from each frame to the next, in pixels of these frames: to the "
    "right, then down",
    "apex_flow": "motion from the onset to the apex frame, in pixels of these images: "
    "to the right, down, and strain (the norm of the gradient's symmetric part)",
    "image": "the face, grey",
    "present": "1 for each frame that is there, 0 where the clip was filled up",
}
OUTSIDE_JAX = {
    "farneback": "Farnebäck's method of OpenCV",
    "dis": "DIS of OpenCV",
    "auto": "the true motion of the synthetic faces, or Farnebäck's method of OpenCV",
    "tvl1": "TV-L1 of jmer.preprocess.tvl1",
    "flownet2": "FlowNet 2.0 of jmer.preprocess.flownet2",
}


def about_inputs(spec: ArraySpec, data: DataConfig) -> dict[str, Any]:
    """An input as the manifest describes it: shape, type, range and meaning."""
    whole = spec.dtype == "uint8"
    return spec.record(
        range=[0, 255 if spec.name != "present" else 1] if whole else None,
        meaning=MEANING.get(spec.name, f"feature {spec.name} of data set {data.word}"),
    )


def preparation(data: DataConfig) -> dict[str, Any]:
    """The recipe of a data set, and what of it a bundle does not do.

    A bundle begins with the prepared arrays: faces are found and aligned by a detector,
    frames resized by OpenCV, and flow estimated before it.
    """
    recipe = json.loads(json.dumps(data.recipe, default=str))
    steps = ["decode the video to frames"]
    if (align := recipe.get("align", "none")) != "none":
        steps.append(f"find the face in the onset frame; {align} every frame by it")
    kind = recipe.get("modality")
    if kind is not None:
        steps.append(f"resize frames to {recipe.get('size')} pixels (OpenCV)")
        if kind != "apex-flow":
            how = recipe.get("resample")
            steps.append(f"choose {recipe.get('frames')} frames: resample={how}")
        if kind != "clip" or recipe.get("special") == "dense":
            estimator = recipe.get("flow", "farneback")
            by = OUTSIDE_JAX.get(estimator, estimator)
            steps.append(f"estimate optical flow: {by}")
    return {
        "done_by_the_bundle": (
            "all that follows the prepared arrays: normalisation, and a part of the "
            "network that is not trained"
        ),
        "done_before": steps,
        "recipe": recipe,
    }
