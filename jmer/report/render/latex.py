"""Tables for LaTeX (package booktabs), with everything from data escaped."""

import re
from collections.abc import Iterable

from jmer.report.render.blocks import Table

SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # Its command exists in some font encodings alone.
    '"': r"\char34{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    # After a line end a bracket or star would belong to it.
    "[": "{[}",
    "*": "{*}",
    "–": r"\textendash{}",
    "×": r"\texttimes{}",
    "\N{NO-BREAK SPACE}": "~",
}


def escape_latex(text: str) -> str:
    """`text` on one line, with nothing in it that LaTeX would act on."""
    line = re.sub(r"[^\S\N{NO-BREAK SPACE}]+", " ", text).strip(" ")
    line = "".join(
        letter for letter in line if letter.isprintable() or letter == "\xa0"
    )
    minus, number = ("$-$", line[1:]) if re.match(r"-\d", line) else ("", line)
    escaped = "".join(SPECIAL.get(letter, letter) for letter in number)
    # Two in a row would become one dash.
    return minus + re.sub("-(?=-)", "-{}", escaped)


def _table(caption: str, table: Table) -> str:
    numbers = len(table.columns) - table.left
    lines = [" & ".join(map(escape_latex, row)) + r" \\" for row in table.rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\begin{{tabular}}{{{'l' * table.left}{'r' * numbers}}}",
            r"\toprule",
            " & ".join(map(escape_latex, table.columns)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def render(tables: Iterable[tuple[str, Table]]) -> str:
    """The tables, each under its caption."""
    parts = ["% \\usepackage{booktabs,textcomp}; other scripts need LuaLaTeX"]
    parts += [_table(caption, table) for caption, table in tables]
    return "\n\n".join(parts) + "\n"
