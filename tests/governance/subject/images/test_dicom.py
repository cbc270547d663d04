"""DICOM files as scanners write them, and as nobody should."""

import io

import numpy as np
import pytest

from governance.errors import SubjectError
from governance.records.reading import FileReading
from governance.subject.images.decoding import decoded

pydicom = pytest.importorskip("pydicom", reason="it is in the extra dicom")


def dicom(values, **changes) -> bytes:
    """A CT slice in memory: stored values, with what the header says beside them."""
    values = np.asarray(values)
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.Rows, data.Columns = values.shape[:2]
    data.SamplesPerPixel = values.shape[2] if values.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
    if values.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * values.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    data.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    for name, value in changes.items():
        setattr(data, name, value)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


SLICE = np.array([[0, 1024], [1064, 3000]], np.uint16)
HOUNSFIELD = {"RescaleSlope": 1, "RescaleIntercept": -1024}


def read(content, **declared):
    return decoded(content, "here", FileReading(**declared))


def test_a_window_is_in_the_units_of_the_scan():
    found = read(dicom(SLICE, **HOUNSFIELD), window=(-160, 240))

    # 0 and 40 Hounsfield units are 160 and 200 of the 400 in the window.
    assert found.pixels.tolist() == [[0, round(160 / 400 * 255)], [round(200 / 400 * 255), 255]]
    assert found.traits == {"windowed"}


def test_the_window_of_the_file_is_taken_where_it_is_asked_for():
    content = dicom(SLICE, **HOUNSFIELD, WindowCenter=[40, 300], WindowWidth=[401, 1500])

    # PS3.3, C.11.2.1.2: black up to 40 - 0.5 - 200, white from 40 - 0.5 + 200.
    assert read(content, window="file").pixels[1, 0] == round((40 + 160.5) / 400 * 255)


def test_an_inverted_scale_is_turned_over():
    content = dicom(SLICE, PhotometricInterpretation="MONOCHROME1")

    assert read(content, window=(0, 3000)).pixels[0, 0] == 255


def test_8_bits_need_no_window_grey_or_in_colour():
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    colour = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)

    same = {"RescaleSlope": 1, "RescaleIntercept": 0}
    np.testing.assert_array_equal(read(dicom(grey)).pixels, grey)
    np.testing.assert_array_equal(read(dicom(grey, **same), window=(0, 4000)).pixels, grey)
    np.testing.assert_array_equal(read(dicom(colour)).pixels, colour)


@pytest.mark.parametrize(
    ("changes", "declared", "said"),
    [
        ({}, {}, r"grey deeper than 8 bits; window = \[LOW, HIGH\]"),
        ({}, {"window": "file"}, "states no linear window"),
        ({"WindowCenter": 1, "WindowWidth": 1}, {"window": "file"}, "a window of width 1;"),
        ({"WindowCenter": 1, "WindowWidth": 9, "VOILUTFunction": "SIGMOID"}, {"window": "file"},
         "states no linear window"),
        ({"NumberOfFrames": 2}, {"window": (0, 1)}, "2 frames; a file of one frame"),
        ({"Rows": 60_000, "Columns": 60_000}, {"window": (0, 1)}, "60000 x 60000 pixels; at most"),
        ({"Rows": 60}, {"window": (0, 1)}, "cannot be decoded"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, {}, "PALETTE COLOR; MONOCHROME1"),
    ],
)  # fmt: skip
def test_what_is_no_whole_image_of_one_frame_is_refused_with_the_cure(changes, declared, said):
    with pytest.raises(SubjectError, match=f"here: .*{said}"):
        read(dicom(SLICE, **changes), **declared)


def test_a_file_that_is_packed_as_a_whole_is_refused_before_it_is_unpacked():
    content = dicom(SLICE)
    packed = content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99\0\0")

    with pytest.raises(SubjectError, match="here: a DICOM file that is packed as a whole"):
        read(packed, window=(0, 1))


@pytest.mark.parametrize("length", range(132, 700, 25))
def test_a_cut_file_is_refused(length):
    content = dicom(SLICE, **HOUNSFIELD)
    with pytest.raises(SubjectError, match="here: "):
        read(content[: min(length, len(content) - 1)], window=(0, 1))
