"""Tables as people and programs save them: one reader of workbooks and text."""

from jmer.data.tables.plain_text import streamed
from jmer.data.tables.read import Table, read_tables

__all__ = ["Table", "read_tables", "streamed"]
