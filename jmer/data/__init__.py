"""Data sets as arrays, and the splits that keep subjects apart."""

from jmer.data.clips import ClipSet
from jmer.data.config import DataConfig
from jmer.data.load import load, summary
from jmer.data.preparing import check, prepare

__all__ = ["ClipSet", "DataConfig", "check", "load", "prepare", "summary"]
