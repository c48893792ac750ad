"""3D HOG with linear support vector machines, on CASME II.

Paper:  Polikovsky et al. 2009
Run:    jmer run baselines/hog3d_casme2 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.casme2 import Casme2
from jmer.baselines.hog3d import Hog3dConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=Hog3dConfig(),
    data=Casme2(classes="megc", modality="clip", resample="tim", frames=10),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
