"""MLmodel: the YAML file in which MLflow describes a model, as tables, lists and values."""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from governance.errors import SubjectError
from governance.records.bounded import MOST_DEPTH, content_of

__all__ = ["mlmodel"]

#: Bytes of an MLmodel file.
LARGEST_MLMODEL = 128 * 2**10


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # yaml has no types
    """Reads YAML that names nothing which stands elsewhere.

    Ten names of ten names, and so on, are a file of a kilobyte and a list of a billion.
    """

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node of the file."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name); a file that MLflow wrote has none")
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise yaml.YAMLError(f"more than {MOST_DEPTH} lists or tables inside one another")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def mlmodel(folder: Path) -> dict[Any, Any]:
    """What the MLmodel file of a folder says; untrusted, and of any shape.

    Raises:
        SubjectError: If there is none, or it cannot be read or is beyond a limit.
    """
    try:
        content = content_of(folder / "MLmodel", LARGEST_MLMODEL, SubjectError)
        described = yaml.load(content.decode(), Loader=_Loader)  # noqa: S506 - a safe loader
    except FileNotFoundError as error:
        raise SubjectError(
            f"{folder}: no MLmodel file; a folder that mlflow.pytorch.log_model wrote is accepted"
        ) from error
    # ValueError: also of numbers and times that are none.
    except (OSError, ValueError, TypeError, OverflowError, yaml.YAMLError) as error:
        raise SubjectError(f"{folder}/MLmodel: cannot be read: {error}") from error
    if not isinstance(described, dict):
        raise SubjectError(
            f"{folder}/MLmodel: describes no model; a file that mlflow.pytorch.log_model wrote is "
            "accepted"
        )
    return described
