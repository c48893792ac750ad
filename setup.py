"""What `setup.cfg` cannot say: a built distribution has the experiments in it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

EXPERIMENTS = "experiments"
INSIDE = "jmer/shipped"  # `jmer.shipped` looks there, and in a checkout beside `jmer`


class BuildWithExperiments(build_py):
    def run(self) -> None:
        if not self.editable_mode:
            # What an earlier build left there may have been moved or deleted since.
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if self.editable_mode:
            return
        for file in sorted(Path(EXPERIMENTS).rglob("*.py")):
            target = Path(self.build_lib, INSIDE, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(file), str(target))


setup(cmdclass={"build_py": BuildWithExperiments})
