"""The TFDS builder that makes and reads the sets of a configuration."""

from typing import TYPE_CHECKING

from jmer.data.asking import command_for, data_option
from jmer.data.config import DataConfig
from jmer.data.find import builder_class
from jmer.errors import JmerError, UsageError
from jmer.files import make_folder
from jmer.files.places import expand_fields, is_known

if TYPE_CHECKING:
    from jmer.data.builder import ClipBuilder


def builder_of(config: DataConfig, *, make: bool = True) -> "ClipBuilder":
    """The TFDS builder of a configuration, which lies beside it; with `make`, its data
    directory is there afterwards.

    Raises: JmerError if there is none, or what it prepared cannot be read.
    """
    # TFDS takes a second to import, and training needs none of it.
    from absl import logging

    from jmer.data.builder import TfdsConfig

    builder = builder_class(type(config))
    expand_fields(config)
    if not is_known(config.data_dir):
        raise UsageError(
            f"there is no home directory, and so no {config.data_dir} for prepared "
            f"sets: say where they lie with {data_option('data_dir', 'DIR')}, or set "
            f"TFDS_DATA_DIR."
        )
    recipe = TfdsConfig(name=config.config_name, version=builder.VERSION, data=config)
    if make:
        make_folder(config.data_dir)
    # TFDS warns of every configuration that is not in a fixed list.
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        return builder(
            config=recipe, data_dir=str(config.data_dir), file_format="array_record"
        )
    except JmerError:
        raise
    except Exception as error:  # TFDS reads the description of a prepared set here
        folder = config.data_dir / config.name / config.config_name
        raise JmerError(
            f"the prepared set {folder} cannot be read ({error}). Delete that folder, "
            f"then prepare it again: `{command_for(config, 'prepare')}`."
        ) from error
    finally:
        logging.set_verbosity(before)
