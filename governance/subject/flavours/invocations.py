"""Invocations: what a scoring server is asked about images, and its answer as numbers.

MLflow's protocol: `{"inputs": ...}` or `{"dataframe_split": ...}` goes to `/invocations`, and
`{"predictions": ...}` comes back. The answer is a stranger's: it is measured before it is read, and
counts only as one row of finite numbers for each image.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.records.bounded import json_data
from governance.records.wording import first_few
from governance.subject.flavours.arranging import Arrangement

__all__ = ["LARGEST_REQUEST", "MOST_IMAGES", "answered", "per_request", "request"]

#: Bytes of a request.
LARGEST_REQUEST = 32 * 2**20
#: Images of a request.
MOST_IMAGES = 256
#: Bytes that a number of a request takes at most, with brackets and commas around it.
NUMBER = 32

PROBABILITIES = (
    "one row of numbers for each image is accepted, as scikit-learn gives it where the model is "
    "logged with pyfunc_predict_fn='predict_proba'"
)


def per_request(numbers: int) -> int:
    """How many images of so many numbers go into one request.

    Raises:
        SubjectError: If not even one does.
    """
    count = min(MOST_IMAGES, LARGEST_REQUEST // (NUMBER * max(1, numbers)))
    if count == 0:
        raise SubjectError(
            f"an image of {numbers} numbers makes a request of more than {LARGEST_REQUEST} bytes; "
            "a smaller size in [model] of the policy is accepted"
        )
    return count


def request(inputs: NDArray[np.float32], arrangement: Arrangement) -> bytes:
    """The body of a request about a batch of images.

    Args:
        inputs: (B, C, H, W), scaled as the policy says.
        arrangement: How the model takes them.

    Raises:
        SubjectError: If the model takes images of other sizes.
    """
    rows = arrangement.arranged(inputs).tolist()
    if arrangement.columns:
        table = {"columns": list(arrangement.columns), "data": rows}
        return json.dumps({"dataframe_split": table}).encode()
    named = {arrangement.tensor: rows} if arrangement.tensor else rows
    return json.dumps({"inputs": named}).encode()


def answered(body: bytes, images: int) -> NDArray[np.float32]:
    """The numbers in an answer, (B, K).

    Args:
        body: Untrusted.
        images: Number B of images that were asked about.

    Raises:
        SubjectError: If it is no answer of finite numbers about so many images.
    """
    data = json_data(body, "the answer of the scoring server", SubjectError)
    if not isinstance(data, dict) or "predictions" not in data:
        raise SubjectError(
            "the scoring server answers without predictions; a table {'predictions': [...]} is "
            "accepted"
        )
    rows = _rows(data["predictions"])
    if len(rows) != images:
        raise SubjectError(
            f"the scoring server answers with {len(rows)} rows for {images} images; one row for "
            "each is accepted"
        )
    lengths = sorted({len(row) for row in rows})
    if len(lengths) != 1 or lengths == [0]:
        raise SubjectError(
            f"the scoring server answers with rows of {lengths[0] if lengths else 0} to "
            f"{lengths[-1] if lengths else 0} numbers; rows of one length are accepted"
        )
    # Numbers too large for a float32 become infinite, and are refused as such behind the wall.
    with np.errstate(over="ignore"):
        return np.asarray(rows, dtype=np.float64).astype(np.float32)


def _rows(predictions: Any) -> list[list[float]]:
    if isinstance(predictions, dict):  # outputs by name, as Keras and ONNX have them
        if len(predictions) != 1:
            raise SubjectError(
                f"the scoring server answers with {len(predictions)} outputs by name; one is "
                "accepted"
            )
        (predictions,) = predictions.values()
    if not isinstance(predictions, list):
        raise SubjectError(
            f"the scoring server answers with {type(predictions).__name__}; {PROBABILITIES}"
        )
    if predictions and all(isinstance(row, dict) for row in predictions):
        predictions = _table(predictions)
    if any(not isinstance(row, list) for row in predictions):
        kinds = sorted({type(row).__name__ for row in predictions})
        raise SubjectError(
            f"the scoring server answers with one {first_few(kinds)} for an image, such as the "
            f"name of a class; {PROBABILITIES}"
        )
    if any(type(item) not in {int, float} for row in predictions for item in row):
        raise SubjectError(f"the scoring server answers with rows of no numbers; {PROBABILITIES}")
    rows: list[list[float]] = predictions
    return rows


def _table(rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """The rows of a table in the order of its columns, which are numbered as the classes are."""
    columns = list(rows[0])
    if any(set(row) != set(columns) for row in rows):
        raise SubjectError("the scoring server answers with rows of different columns")
    order = [str(index) for index in range(len(columns))]
    if set(columns) != set(order):
        raise SubjectError(
            f"the scoring server names the columns {first_few([item[:40] for item in columns])}; "
            "rows without names, or with columns 0 to K - 1, are accepted"
        )
    return [[row[name] for name in order] for row in rows]
