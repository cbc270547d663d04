"""Dataset: a list of labelled image files as a data set that MLflow logs and evaluates on."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.pandas_dataset import PandasDataset
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from governance.subject.images.validation_set import ValidationSet

__all__ = ["ImageManifest", "from_image_manifest"]

PATH, LABEL = "path", "label"
DIGEST_LENGTH = 36  # of a data set, in MLflow
#: Bytes of a CSV file.
LARGEST_LIST = 64 * 2**20


class ImageManifest(PandasDataset):  # type: ignore[misc] # MLflow has no types
    """Absolute paths of images with their labels.

    MLflow keeps 36 characters of a digest. The profile holds the whole digest, over class names,
    labels and the contents of all images.
    """

    def __init__(self, validation: "ValidationSet", root: Path, **options: Any) -> None:
        labels = [validation.class_names[label] for label in validation.labels]
        self._image_digest = validation.digest
        super().__init__(
            pd.DataFrame({PATH: [str(root / name) for name in validation.ids], LABEL: labels}),
            targets=LABEL,
            **options,
        )

    @property
    def profile(self) -> dict[str, Any]:
        """Number of images and their digest."""
        return {"images": len(self.df), "digest": self._image_digest}


def from_image_manifest(
    manifest: str | Path | pd.DataFrame,
    *,
    root: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    digest: str | None = None,
) -> ImageManifest:
    """A list of images with labels as a data set; `mlflow.data.from_image_manifest`.

    Every file is read once, for its digest.

    Args:
        manifest: A CSV file with the columns `path` and `label`, or a table with them.
        root: Folder that the paths start at and lie in; that of the CSV file if not given, the
            working directory for a table.
        class_names: In the order of the model's outputs; the sorted labels if not given.
        name: Name of the data set in MLflow.
        digest: Digest of the data set, at most 36 characters. Default: that of the images.

    Raises:
        MlflowException: All problems at once.
    """
    from governance.errors import SubjectError
    from governance.subject.images import open_image_list

    file = None if isinstance(manifest, pd.DataFrame) else Path(manifest)
    folder = Path(root or (file.parent if file else ".")).resolve()
    location = str(file or name or "manifest")
    try:
        table = _table(manifest, location)
        validation = open_image_list(
            table[PATH].tolist(),
            table[LABEL].tolist(),
            root=folder,
            location=location,
            class_names=class_names,
        )
    except SubjectError as error:
        raise MlflowException.invalid_parameter_value(str(error)) from error
    return ImageManifest(
        validation,
        folder,
        source=_source(folder),
        name=name,
        digest=digest or validation.digest.removeprefix("sha256:")[:DIGEST_LENGTH],
    )


def _table(manifest: str | Path | pd.DataFrame, location: str) -> pd.DataFrame:
    from governance.errors import SubjectError

    try:
        table = manifest if isinstance(manifest, pd.DataFrame) else _csv(manifest)
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise SubjectError(
            f"{location}: cannot be read as CSV: {str(error).strip()}; UTF-8 with the columns "
            f"{PATH} and {LABEL} is accepted"
        ) from error
    # Left in front of the first name by readers that do not know the mark of Windows' UTF-8.
    table = table.rename(columns=lambda column: str(column).removeprefix("\ufeff"))
    if not {PATH, LABEL} <= set(table.columns) or table[[PATH, LABEL]].isna().any(axis=None):
        raise SubjectError(
            f"{location}: has the columns {', '.join(map(str, table.columns))}; {PATH} and {LABEL} "
            "are needed, with a value in every row"
        )
    return table[[PATH, LABEL]].astype(str)


def _csv(file: str | Path) -> pd.DataFrame:
    from governance.errors import SubjectError
    from governance.records.bounded import opened

    # A class may well be called NA, None or null.
    with warnings.catch_warnings():
        # Else a row that is longer than the first would be read from its second value on.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        with opened(Path(file), LARGEST_LIST, SubjectError) as stream:
            return pd.read_csv(
                stream, dtype=str, index_col=False, keep_default_na=False, na_values=[""]
            )


def _source(folder: Path) -> DatasetSource:
    with warnings.catch_warnings():
        # MLflow has two readers of local folders, and any will do.
        warnings.simplefilter("ignore", UserWarning)
        return resolve_dataset_source(str(folder))
