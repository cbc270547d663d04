"""DICOM: an image of a clinic's archive as a picture of 8 bits.

Stored values become those of the modality (Hounsfield units of a CT scan, say) by the slope and
intercept in the file, and these black to white by the declared window. An inverted scale
(MONOCHROME1) is turned over, so that more always means brighter.

Source:
    DICOM PS3.3, C.11.1 (modality), C.11.2.1.2 (windows), C.7.6.3.1.2 (photometric interpretation).
"""

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.records.reading import FileReading
from governance.subject.images.windows import windowed

__all__ = ["DICOM_BEGINNING", "DICOM_SUFFIXES", "decoded_dicom", "is_dicom"]

#: Endings of such files.
DICOM_SUFFIXES = (".dcm",)
#: The only transfer syntax that packs the whole file, so that a small one may hold any amount.
DEFLATED = b"1.2.840.10008.1.2.1.99"
PREAMBLE = 128
#: Bytes after which a file is known to be one.
DICOM_BEGINNING = PREAMBLE + 4
GREY = ("MONOCHROME1", "MONOCHROME2")
BITS = 8


def is_dicom(content: bytes) -> bool:
    """Whether the bytes of a file say that they are DICOM."""
    return content[PREAMBLE:DICOM_BEGINNING] == b"DICM"


def decoded_dicom(
    content: bytes, where: str, reading: FileReading, most_pixels: int
) -> tuple[NDArray[np.uint8], bool]:
    """The picture in a file, (H, W) grey or (H, W, 3) RGB, and whether a window made it.

    Args:
        content: Bytes of the whole file.
        where: Name of the file in messages.
        reading: What the policy says; its window is needed for more than 8 bits.
        most_pixels: Largest number of pixels.

    Raises:
        SubjectError: If the bytes are no whole image of one frame, need a window that is not
            declared, or pydicom is not installed.
    """
    try:
        import pydicom  # noqa: PLC0415 - an extra, for images of clinics
        from pydicom.pixels.processing import apply_modality_lut  # noqa: PLC0415
        from pydicom.pixels.utils import pixel_array  # noqa: PLC0415
    except ImportError as error:
        raise SubjectError(
            f"{where}: a DICOM file, which pydicom reads; pip install 'mlflow-governance[dicom]'"
        ) from error
    if DEFLATED in content:
        raise SubjectError(
            f"{where}: a DICOM file that is packed as a whole; any other transfer syntax is "
            "accepted"
        )
    try:
        with warnings.catch_warnings():
            # What a file does not keep to of the standard is no reason to refuse its picture.
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(io.BytesIO(content))
            _refuse(data, most_pixels)
            stored = pixel_array(data)
            units = apply_modality_lut(stored, data)
            # A slope of 1 makes fractions of whole numbers, and changes none.
            found = _picture(stored if np.array_equal(units, stored) else units, data, reading)
    except SubjectError as error:
        raise SubjectError(f"{where}: {problem}" for problem in error.problems) from error
    except DAMAGE as error:
        raise SubjectError(
            f"{where}: cannot be decoded: {error}; a whole DICOM image is accepted"
        ) from error
    return found


# What pydicom raises on damaged files, by tag and kind of damage. Its own errors are subclasses.
DAMAGE = (
    OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, IndexError, OverflowError,
    NotImplementedError, RuntimeError, MemoryError, ArithmeticError,
)  # fmt: skip


def _refuse(data: Any, most_pixels: int) -> None:
    """Refuse a file by its header, before its pixels are made.

    Raises:
        SubjectError: If it holds several frames, too many pixels, or colours by a table.
    """
    frames = int(data.get("NumberOfFrames") or 1)
    if frames != 1:
        raise SubjectError(f"{frames} frames; a file of one frame is accepted")
    height, width = int(data.Rows), int(data.Columns)
    if height * width > most_pixels:
        raise SubjectError(f"{width} x {height} pixels; at most {most_pixels} are accepted")
    kind = str(data.PhotometricInterpretation)
    if kind not in GREY and not kind.startswith(("RGB", "YBR")):
        raise SubjectError(
            f"photometric interpretation {kind}; {', '.join(GREY)}, RGB and YBR are accepted"
        )


def _picture(
    values: NDArray[np.generic], data: Any, reading: FileReading
) -> tuple[NDArray[np.uint8], bool]:
    plain = values.dtype == np.uint8
    if str(data.PhotometricInterpretation) not in GREY:
        if plain:
            return np.asarray(values, dtype=np.uint8), False
        raise SubjectError("colour deeper than 8 bits; 8 bits per channel are accepted")
    if plain:
        grey = np.asarray(values, dtype=np.uint8)
    elif reading.window is None:
        raise SubjectError(
            "grey deeper than 8 bits; window = [LOW, HIGH] in [validation] of the policy, in the "
            "units of the file, or window = 'file' is needed"
        )
    else:
        grey = windowed(values, *_ends(data, reading.window))
    if data.PhotometricInterpretation == GREY[0]:
        grey = 255 - grey
    return grey, not plain


def _ends(data: Any, window: tuple[float, float] | str) -> tuple[float, float]:
    """Values that become black and white.

    Raises:
        SubjectError: If the file is asked for its window and states none that is linear.
    """
    if isinstance(window, tuple):
        return window
    centres, widths = data.get("WindowCenter"), data.get("WindowWidth")
    function = str(data.get("VOILUTFunction") or "LINEAR")
    if centres is None or widths is None or function not in {"LINEAR", "LINEAR_EXACT"}:
        raise SubjectError(
            "states no linear window (WindowCenter and WindowWidth); window = [LOW, HIGH] in "
            "[validation] of the policy is accepted"
        )
    # A file may state several windows for the eye; the first one is the one that viewers open with.
    centre, width = (float(np.atleast_1d(np.asarray(item, float))[0]) for item in (centres, widths))
    shift, less = (0.5, 1.0) if function == "LINEAR" else (0.0, 0.0)
    low, high = centre - shift - (width - less) / 2, centre - shift + (width - less) / 2
    if not low < high:
        raise SubjectError(
            f"states a window of width {width:g}; window = [LOW, HIGH] in [validation] of the "
            "policy is accepted"
        )
    return low, high
