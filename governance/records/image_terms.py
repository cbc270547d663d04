"""Image terms: what a policy says about reading its validation images."""

from dataclasses import dataclass, field

from governance.records.decoding import FLAT
from governance.records.reading import FileReading, read_reading
from governance.records.toml_reader import Reader

__all__ = ["ImageTerms", "read_image_terms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTerms:
    """What a policy says about reading its validation images: its `[validation]` table.

    Attributes:
        split: Part of the data set that is taken, such as `test`: a folder of that name, or the
            rows of a list with that value in the column `split`. All images if not given.
        follow_links: Whether links that lead out of the folder are followed. A worker's confined
            process sees nothing behind them.
        reading: How an image file becomes a picture.
    """

    split: str | None = None
    follow_links: bool = False
    reading: FileReading = field(default_factory=FileReading, metadata=FLAT)


def read_image_terms(reader: Reader) -> tuple[str, ImageTerms | None]:
    """Where the images are and how they are read; None where the policy says only where."""
    table = reader.table("validation")
    data = table.text("data", None)
    split = table.text("split", "") or None
    if split is not None and (not split.isprintable() or "/" in split or split in {".", ".."}):
        table.problem("split", f"is {split!r}; the name of a part, such as 'test', is accepted")
        split = None
    terms = ImageTerms(
        split=split,
        follow_links=table.flag("follow_links", default=False),
        reading=read_reading(table),
    )
    table.done()
    return data, None if terms == ImageTerms() else terms
