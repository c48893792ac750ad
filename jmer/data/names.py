"""What two spellings of one name have in common.

A spreadsheet drops zeros in front (001), adds a point (1.0), makes dates of names (1-2
becomes 2-Jan), writes 1000 as 1,000 or 1E+03. People add blanks and capitals, leave
accents out, type letters of another alphabet that look the same, and call one person
S01, sub01, Subject 1 or 1.
"""

import datetime
import re
import unicodedata
from collections.abc import Callable, Iterable
from decimal import Decimal

Key = Callable[[str], str]

LOOKS = str.maketrans(
    "авеѕіјкмнорстухѵԁһԛԝьᴜ" + "αβεζηικμνορτυχ" + "ıɑɡ",
    "abesijkmhopctyxvdhqwbu" + "abezhikmnoptyx" + "iag",
)
"""Small letters that look like Latin ones, or whose capitals do."""
MONTHS = tuple(
    names.split()
    for names in (
        "jan january januar janv janvier ene enero gen gennaio janeiro januari",
        "feb february februar fev fevr fevrier febrero febbraio fevereiro februari",
        "mar march marz mrz mars marzo marco mrt maart",
        "apr april avr avril abr abril aprile",
        "may mai mayo mag maggio maio mei maj",
        "jun june juni juin junio giu giugno junho",
        "jul july juli juil juillet julio lug luglio julho",
        "aug august aout ago agosto augustus",
        "sep sept september septembre septiembre settembre set setembro",
        "oct october okt oktober octobre octubre ott ottobre out outubro",
        "nov november novembre noviembre novembro",
        "dec december dez dezember decembre dic diciembre dicembre dezembro",
    )
)
MONTH = {name: i for i, names in enumerate(MONTHS, start=1) for name in names}
YEAR = r"([- ./,]+\d{2,4})?"
DAY_MONTH = re.compile(rf"(\d{{1,2}})[- ./]+([a-z]+)\.?{YEAR}")
MONTH_DAY = re.compile(rf"([a-z]+)\.?[- ./]+(\d{{1,2}}){YEAR}")
YEAR_FIRST = re.compile(r"\d{4}[-/.](\d{1,2})[-/.](\d{1,2})([ t]00:00(:00(\.0+)?)?z?)?")
YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})( 00:00(:00)?)?")
EASTERN = re.compile(r"(?:\d{4}年)?(\d{1,2})月(\d{1,2})日")
TWO = re.compile(r"(\d{1,2})[-/._ ](\d{1,2})\.?")
FIRST_DAY = datetime.date(1899, 12, 30)
"""Day 0 of spreadsheets, which keep a date as a number of days."""
NUMBER = re.compile(r"[+-]?(\d{1,300}|\d{1,3}(,\d{3}){1,9})(\.\d+)?(e[+-]?\d{1,2})?")
ZEROS = re.compile(r"(?<=\d)o+|o+(?=\d)")
"""Letters that look like a digit, beside digits."""
PERSON = re.compile(
    r"(?:s|sub|subj|subject|subjects|subjekt|sujet|sujeto|sp|spno|p|pp|person|pers|"
    r"part|participant|proband|vp|id|no|nr|n|#)?[-_ .:#]*(\d+(?:\.0+)?)"
)
ROMAN = {"iii": "3", "ii": "2"}


def plain(text: str) -> str:
    """A value without what cannot be seen: blanks around it and of other kinds, marks
    of byte order, digits and letters of full width.
    """
    text = unicodedata.normalize("NFKC", text)
    seen = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(seen.split())


def alike(names: Iterable[str], key: Key) -> list[list[str]]:
    """Names that `key` finds the same in, together; each once, in the order they come.

    >>> alike(["syn01", "SYN01", "syn02", "7", "007"], person_keys([]))
    [['syn01', 'SYN01'], ['syn02'], ['7', '007']]
    """
    groups = dict[str, list[str]]()
    for name in dict.fromkeys(names):
        groups.setdefault(key(name), []).append(name)
    return [*groups.values()]


def bare(text: str) -> str:
    """A name without what nobody means by it: capitals, accents, and letters and
    digits that are those of another alphabet.

    >>> [bare(name) for name in ("EP01", "\\u0415\\u042001", "S\\uff10\\u0661")]
    ['ep01', 'ep01', 's01']
    """
    looks = plain(text).translate(LOOKS).casefold()
    letters = unicodedata.normalize("NFKD", looks.translate(LOOKS))
    return "".join(
        str(unicodedata.decimal(c, c))
        for c in letters
        if unicodedata.category(c) != "Mn"
    )


def name_keys(values: Iterable[str]) -> Key:
    """What two spellings of one name may have in common, where these are the names.

    >>> key = name_keys(["1-2", "2-Jan", "3-Feb"])
    >>> [key(name) for name in ("sub01", "Sub1", "001", "1.0", "1e3", "2-Jan", "1-2")]
    ['sub1', 'sub1', '1', '1', '1000', '1-2', '1-2']
    """
    known = {*map(bare, values)}
    there = {tuple(sorted(two)) for text in known if (two := _two(text))}
    dated = {tuple(sorted(two)) for text in known if (two := _date(text, there))}

    def key(text: str) -> str:
        folded = ZEROS.sub(lambda found: "0" * len(found[0]), bare(text))
        two = _date(folded, there) or _two(folded)
        if two and (pair := tuple(sorted(two))) in dated:
            # Day or month may come first: which is which is lost.
            return "{}-{}".format(*pair)
        return _joined(_number(folded) or ("{}-{}".format(*two) if two else folded))

    return key


def person_keys(values: Iterable[str]) -> Key:
    """The same of people: S01, sub01, Subject 1 and 1 may be one.

    >>> key = person_keys([])
    >>> {key(name) for name in ("S01", "sub01", "Subject 1", "#1", "spNO.1", "1.0")}
    {'1'}
    """
    key = name_keys(values)

    def person(text: str) -> str:
        found = PERSON.fullmatch(bare(text))
        return key(found[1] if found else text)

    return person


def set_keys(values: Iterable[str]) -> Key:
    """The same of data sets: CASME II and casme2 may be one.

    >>> key = set_keys([])
    >>> {key(name) for name in ("CASME II", "casme2", "CASME-2", "CASMEII")}
    {'casme2'}
    """

    def key(text: str) -> str:
        joined = re.sub(r"[\W_]", "", bare(text))
        return re.sub("(iii|ii)$", lambda found: ROMAN[found[0]], joined)

    return key


def word_key(text: str) -> str:
    """What two spellings of one label have in common, for certain: case counts for
    nothing, and numbers are what they are worth.

    >>> word_key("Negative"), word_key("2.0"), word_key("02"), word_key("1,0")
    ('negative', '2', '2', '1,0')
    """
    folded = text.casefold()
    return folded if "," in folded else _number(folded) or folded


def _joined(text: str) -> str:
    """Without zeros in front, and with one sign for all that joins; none between a
    letter and a number."""
    text = re.sub(r"[\s_\-\u2010-\u2015\u2212]+", "-", text)
    text = re.sub(r"(?<=[^\W\d])[-.]+(?=\d)|(?<=\d)-(?=[^\W\d])", "", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def _number(text: str) -> str | None:
    if not NUMBER.fullmatch(text):
        return None
    # To the last digit: names may be long numbers.
    value = Decimal(text.replace(",", ""))
    whole = int(value)
    return str(whole) if whole == value else format(value.normalize(), "f")


def _two(text: str) -> tuple[int, int] | None:
    """The two numbers that a name is made of, which a spreadsheet takes for a date."""
    found = TWO.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def _date(text: str, there: Iterable[tuple[int, ...]]) -> tuple[int, int] | None:
    """The day and month, in some order, of what a spreadsheet took for a date. What may
    be something else is one where `there` are names of these numbers."""
    if found := DAY_MONTH.fullmatch(text):
        day, month = int(found[1]), MONTH.get(found[2], 0)
        return (day, month) if month else None
    if found := MONTH_DAY.fullmatch(text):
        day, month = int(found[2]), MONTH.get(found[1], 0)
        return (day, month) if month else None
    if found := YEAR_FIRST.fullmatch(text) or EASTERN.fullmatch(text):
        return int(found[1]), int(found[2])
    two = None
    if found := YEAR_LAST.fullmatch(text):
        two = int(found[1]), int(found[2])
        if len(found[3]) == 4:
            return two
    elif re.fullmatch(r"[345]\d{4}(\.0+)?", text):
        day_of = FIRST_DAY + datetime.timedelta(days=int(text[:5]))
        two = day_of.day, day_of.month
    return two if two and tuple(sorted(two)) in there else None
