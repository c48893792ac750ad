"""How Sphinx builds these pages: offline, and every warning is an error (`-W`)."""

import dataclasses
import os
import re
import sys
import tempfile
from pathlib import Path

from flax import nnx
from myst_nb.core import render
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import inspect

import jmer.nn

project = "jmer"
author = "The jmer authors"
copyright = "the jmer authors; Apache-2.0"
release = version = jmer.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
highlight_language = "text"  # blocks without a language are a shell's
html_theme = "furo"
html_title = f"jmer {version}"
html_static_path: list[str] = []
html_show_sourcelink = False
# Nothing is fetched while pages are built, nor while they are read.
html_theme_options = {
    "light_css_variables": {"font-stack": "system-ui, sans-serif"},
}

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
# Notebooks run at every build; one that fails ends it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_merge_streams = True
# What a notebook prepares is its own: nothing of the reader's is read or replaced.
os.environ["TFDS_DATA_DIR"] = tempfile.mkdtemp(prefix="jmer-docs-")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# A kernel asks for colours; a page wants lines.
os.environ["TTY_COMPATIBLE"] = "0"
# Cells type `jmer`: that of this environment, activated or not.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
add_module_names = False
default_role = "code"  # docstrings mark names by single backticks
smartquotes = False  # options begin with two dashes


def _joined(outputs):
    """Streams in one piece; MyST-NB itself ends a line wherever a buffer was full."""
    joined = []
    for one in outputs:
        last = joined[-1] if joined else {}
        if one.output_type == "stream" and last.get("name") == one.name:
            last["text"] += one.text
        else:
            joined.append(one.copy())
    return joined


render.coalesce_streams = _joined


def _signature(app, what, name, thing, options, signature, result):
    """As a reader wants it: for a configuration none, since its fields follow, each
    with its text; for a module of Flax that of its `__init__`; short names of arrays.
    """
    if what == "class" and dataclasses.is_dataclass(thing) and _all_told(thing):
        return "", None
    if what == "class" and issubclass(thing, nnx.Module):
        signature = _plain(inspect.signature(thing.__init__, bound_method=True))
    return _short(signature), _short(result)


def _all_told(kind):
    fields = {field.name for field in dataclasses.fields(kind)}
    told = set()
    for one in kind.__mro__[:-1]:
        docs = ModuleAnalyzer.for_module(one.__module__).find_attr_docs()
        told |= {field for owner, field in docs if owner == one.__name__}
    return fields <= told


def _plain(signature):
    """Names and defaults; what is meant by them is in the text."""
    known = {id(value): name for name, value in vars(jmer.nn).items()}
    parameters = [
        one.replace(
            annotation=one.empty,
            default=_Named(known.get(id(one.default), one.default.__name__))
            if callable(one.default) and one.default is not one.empty
            else one.default,
        )
        for one in signature.parameters.values()
    ]
    return str(
        signature.replace(parameters=parameters, return_annotation=signature.empty)
    )


class _Named(str):
    """A value that is shown by its name."""

    __repr__ = str.__str__


def _short(text):
    """`Float[Array, "b c"]` for one of JAX or of NumPy."""
    if text is None:
        return None
    one = r"~?(?:\w+\.)*"
    either = rf"{one}(\w+)\[{one}Array, ('[^']*')\] \| {one}\1\[{one}ndarray, \2\]"
    text = re.sub(either, r"\1[Array, \2]", text)
    return re.sub(rf"{one}Array \| {one}ndarray", "Array", text)


def setup(app):
    app.connect("autodoc-process-signature", _signature)
