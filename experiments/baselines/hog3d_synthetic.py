"""3D HOG with linear support vector machines, on the embedded synthetic faces.

Paper:  Polikovsky et al. 2009
Run:    jmer run baselines/hog3d_synthetic
Cost:   seconds
Expect: UF1 0.872 (0.749 to 0.954 over subjects)
"""

from data_builders.synthetic import Synthetic
from jmer.baselines.hog3d import Hog3dConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=Hog3dConfig(size=64),
    data=Synthetic(
        modality="clip",
        resample="tim",
        frames=10,
        size=64,
        subjects=8,
        clips=120,
        difficulty=0.0,
        noise=0.2,
    ),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
