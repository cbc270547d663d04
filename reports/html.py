"""HTML: the report as one file that needs nothing else, not even a network.

Pictures, style and fonts are inside it, since MLflow shows artifacts in a frame where relative
addresses lead nowhere. It holds no script and forbids itself to load anything.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from governance.records import numbers
from governance.records.assessment import Assessment
from governance.records.decision import OUTCOMES
from reports.amounts import amount, span
from reports.approvals import Approvals
from reports.metric_texts import metric_texts
from reports.prose import printable
from reports.view import View, view

__all__ = ["code_point", "environment", "is_picture", "page", "style", "to_html"]

# File, family, weight and style.
FONTS = (
    ("IBMPlexSans-Regular", "Plex Sans", 400, "normal"),
    ("IBMPlexSans-Italic", "Plex Sans", 400, "italic"),
    ("IBMPlexSans-SemiBold", "Plex Sans", 600, "normal"),
    ("IBMPlexMono-Regular", "Plex Mono", 400, "normal"),
)

#: Style sheets, in order: what all pages share, the parts of a report, and one for its medium.
SHEETS = ("report.css", "parts.css", "evidence.css")
SCREEN, PAPER = "screen.css", "paper.css"

#: Pixels of a picture.
MOST_PIXELS = 50_000_000
HEADER = re.compile(rb"\x89PNG\r\n\x1a\n....IHDR(....)(....)", re.DOTALL)

CODE = re.compile(r"(`+)(.+?)\1")
EMPHASIS = re.compile(r"(?<![\w*])\*([^\s*][^*<>]*?)\*(?![\w*])")
PART_OF_NAME = re.compile(r"(?<=\w)([_.])(?=\w)")


def to_html(
    assessment: Assessment, doubts: Sequence[str] = (), approvals: Approvals | None = None
) -> str:
    """The report of an assessment as a page that can be sent around on its own.

    Args:
        assessment: The assessment as recorded.
        doubts: Where it contradicts itself; if there are any, every page is marked as unverified.
        approvals: What is signed about the version; None where no registry was asked.
    """
    return page(view(assessment, approvals), doubts)


def page(
    arranged: View, doubts: Sequence[str] = (), *, paper: bool = False, lacking: Sequence[str] = ()
) -> str:
    """The report from an assessment that is already arranged.

    Args:
        arranged: The assessment in the order of the report.
        doubts: Where it contradicts itself; if there are any, every page is marked as unverified.
        paper: Whether it is printed, where long tables and secondary figures are left out.
        lacking: Characters that no font has, which are printed as their codes.
    """
    template = environment().get_template("report.html.j2")
    return template.render(
        view=arranged,
        assessment=arranged.assessment,
        style=style(paper=paper),
        doubts=doubts,
        paper=paper,
        lacking=lacking,
    )


def environment() -> Environment:
    """Where templates are found and text is escaped, with the filters that they use."""
    environment = Environment(
        loader=PackageLoader("templates", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        amount=amount,
        capital=_capital,
        code=code_point,
        count=numbers.count,
        difference=numbers.difference,
        duration=numbers.duration,
        human=_human,
        interval=numbers.interval,
        moment=numbers.moment,
        name=_name,
        number=numbers.number,
        percent=numbers.percent,
        picture=_picture,
        outcome=OUTCOMES.__getitem__,
        prose=_prose,
        span=span,
        unit=_unit,
    )
    return environment


def code_point(character: str) -> str:
    """The code of a character, as Unicode writes it."""
    return f"U+{ord(character):04X}"


def _final(value: object) -> object:
    # Escaping makes text harmless to the browser; this makes it harmless to the reader.
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _capital(text: str) -> str:
    """A sentence with a capital letter and without its full stop."""
    return f"{text[:1].upper()}{text[1:]}".rstrip(".")


def _prose(text: str) -> Markup:
    """Escaped text in which backticks set code and asterisks set emphasis."""
    coded = CODE.sub(r"<code>\2</code>", str(escape(printable(text))))
    return Markup(EMPHASIS.sub(r"<em>\1</em>", coded))  # noqa: S704 - escaped above


def _human(metric: str) -> str:
    """The human name of a metric."""
    return metric_texts(metric).name


def _unit(metric: str) -> str:
    """The unit in which a metric is printed."""
    return metric_texts(metric).unit


def _name(text: str) -> Markup:
    """An escaped name that may be broken after its dots and underscores."""
    return Markup(PART_OF_NAME.sub(r"\1<wbr>", str(escape(printable(text)))))  # noqa: S704 - escaped


def is_picture(content: bytes) -> bool:
    """Whether a content is a PNG of no more pixels than a picture has.

    What stands in a record is untrusted: as something else than a PNG it would be drawn by another
    reader, and a few kilobytes can be a picture of gigabytes.
    """
    size = HEADER.match(content)
    return size is not None and int.from_bytes(size[1]) * int.from_bytes(size[2]) <= MOST_PIXELS


def _picture(content: bytes) -> str:
    """A picture inside the page; nothing where it is none."""
    return _data_uri(content if is_picture(content) else b"", "image/png")


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


def style(*, paper: bool = False) -> Markup:
    """The style sheets with the fonts inside; ours, so not escaped."""
    home = files("templates")
    faces = [
        f"@font-face {{ font-family: '{family}'; font-weight: {weight}; font-style: {style}; "
        f"src: url({_data_uri((home / 'fonts' / f'{name}.woff2').read_bytes(), 'font/woff2')}) "
        "format('woff2'); }"
        for name, family, weight, style in FONTS
    ]
    names = (*SHEETS, PAPER if paper else SCREEN)
    sheets = [(home / name).read_text(encoding="utf-8") for name in names]
    return Markup("\n".join([*faces, *sheets]))  # noqa: S704 - files of this package
