"""MDMO with support vector machines, on CD6ME: action units, leaving one data set out.

Of the library meb, whose benchmark this is: lengths weigh 0.8 and angles 0.2; a
Gaussian machine for each action unit, C 28, by scikit-learn's gamma="scale". Nothing in
it is drawn, so that one seed is all five. Chosen here: flow by TV-L1 from onset to
apex, and regions of a face from the front, where meb has Farnebäck's flow between the
first frame and every other, in regions around the points of each face.

Paper:  Varanka et al. 2023, "Data leakage and evaluation issues in micro-expression
        analysis": jmer report --table cd6me-1
Run:    jmer run baselines/mdmo_cd6me --data.manual-dir DIR, where DIR has a folder for
        each set: CASME, CASME2, SAMM, 4DME, MMEW, CASME3
Cost:   minutes, once the set is prepared
Expect: near F1 0.275, if none of that makes a difference; not run here, the data need
        six licences. Always answering that all is shown has 0.178
Aligned faces need `pip install 'jmer[faces]'`, or --data.landmarks FILE; --data.align
none takes the frames as they are.
"""

from data_builders.cd6me import Cd6me
from jmer.baselines.mdmo import MdmoConfig
from jmer.baselines.svm import SvmConfig
from jmer.data.by_set import Lodo
from jmer.data.extract import Extract
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=MdmoConfig(
        size=112, lengths=0.8, kernel="rbf", machines="each", vectors=2031
    ),
    data=Cd6me(modality="apex-flow", size=112, flow="tvl1", align="landmarks"),
    extract=Extract(action_units=(1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)),
    optim=SvmConfig(c=28.0, scaling="all"),
    epochs=1,
    dtype="float32",
    protocol=Lodo(),
)
