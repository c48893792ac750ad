"""A set of one's own as its owner keeps it: clips in a folder, and a table of them."""

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openpyxl
import pytest
from filmed import film, noise

from data_builders.folder import Folder
from jmer.cli import main
from jmer.data.maker import builder_of

SIZE = 47
MOMENTS = ["clip", "subject", "label", "onset", "apex", "offset"]
Row = list[Any]


class Mine:
    """A folder with a table of clips, of frames and of videos by turns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self.written: dict[int, np.ndarray] = {}
        for n in range(6):
            kind, person = ("happy", "sad", "calm")[n % 3], f"P {n // 2}, née Ñ"
            written = self.written[n] = noise(10, SIZE, SIZE, seed=n)
            if n % 2:
                place = f"films/{n}.mkv"
                (folder / "films").mkdir(exist_ok=True)
                film(folder / place, written)
            else:
                place = f"frames/{n}"
                (folder / place).mkdir(parents=True)
                for i, picture in enumerate(written, start=1):
                    name = f"{folder / place}/f{i:02d}.png"
                    cv2.imwrite(name, picture[..., ::-1])
            self.rows.append([place, person, kind, 3, 5, 8])

    def table(
        self,
        name: str = "mine.csv",
        header: Row | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> Path:
        """Written as the ending of `name` says."""
        rows = [header or MOMENTS, *self.rows]
        path = self.folder / name
        if path.suffix == ".xls":
            xlwt = pytest.importorskip("xlwt")
            book = xlwt.Workbook()
            sheet = book.add_sheet("clips")
            for i, row in enumerate(rows):
                for k, cell in enumerate(row):
                    sheet.write(i, k, cell)
            book.save(str(path))
            return path
        if path.suffix == ".xlsx":
            book = openpyxl.Workbook()
            for row in rows:
                book.active.append(row)
            book.save(path)
            return path
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)
        return path

    def builder(self, table: Path | None = None, **fields: Any) -> Any:
        table = table or self.table()
        fields = {"modality": "clip", "resample": "uniform", "frames": 6, **fields}
        data = Folder(
            table=str(table), size=SIZE, data_dir=self.folder / "made", **fields
        )
        return builder_of(data)

    def clips(self, **fields: Any) -> list[dict[str, Any]]:
        builder = self.builder(**fields)
        assert builder.problems() == []
        return [builder.example(item) for item in builder.items()]

    def problem(self, **fields: Any) -> str:
        """The only one."""
        problems = self.builder(**fields).problems()
        assert len(problems) == 1, problems
        return problems[0]


def checked(
    capsys: pytest.CaptureFixture[str], mine: Mine, *words: str
) -> tuple[int, str]:
    """The code of a check of the table, and what it said."""
    home = ["--data-dir", str(mine.folder / "made")]
    code = main(["data", "check", "folder", *home, *words])
    return code, "".join(capsys.readouterr())


def touched(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
