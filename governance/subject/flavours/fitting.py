"""Fitting: the preprocessing of a policy, completed and checked by what the model takes."""

import numpy as np
import torch
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.records.model_terms import ModelTerms
from governance.records.numbers import number
from governance.subject.flavours.loaded import LoadedModel, Processor
from governance.subject.preprocessing import Preprocessing

__all__ = ["check_processor", "fitted"]

#: Standard deviation that makes numbers from 0 to 255 of pixels in [0, 1].
LEVEL = 1 / 255
#: Levels of 255 by which two ways of rounding may be apart.
MOST_LEVELS = 1.01


def fitted(terms: ModelTerms, loaded: LoadedModel, where: str) -> Preprocessing:
    """The preprocessing of a policy, completed and checked by what a model takes.

    Args:
        terms: What the policy says about the model.
        loaded: The model, with the shapes that it takes.
        where: Name of the model in messages.

    Raises:
        SubjectError: All that does not go together, at once.
    """
    signed, taken = loaded.signed, loaded.shape
    problems = [
        f"{where}: {what} is {theirs} in the signature and {ours} in the model; log the model "
        "again with an input_example as it takes it"
        for what, theirs, ours in zip(("channels", "height", "width"), signed, taken, strict=True)
        if None not in {theirs, ours} and theirs != ours
    ]
    channels, height, width = (
        signed[place] if size is None else size for place, size in enumerate(taken)
    )
    size = terms.input_size
    if size is None and height is not None and width is not None:
        size = (height, width)
    if size is None:
        problems.append(
            f"{where}: its files do not say which size of image it takes; size = [height, width] "
            "in [model] of the policy is needed"
        )
    elif height not in {None, size[0]} or width not in {None, size[1]}:
        problems.append(
            f"{where}: takes images of {height} x {width} and the policy says {size[0]} x "
            f"{size[1]}; leave size out of [model] of the policy, or set it to that"
        )
    depth = 1 if terms.channels == "grey" else 3
    if channels not in {None, depth}:
        problems.append(
            f"{where}: takes {channels} channels and the policy says {terms.channels}, which is "
            f"{depth}; channels = 'grey' for 1, 'rgb' or 'bgr' for 3 in [model] of the policy is "
            "accepted"
        )
    off = any(terms.mean) or any(abs(std - LEVEL) > LEVEL / 100 for std in terms.std)
    if loaded.levels and off:
        problems.append(
            f"{where}: takes whole numbers from 0 to 255; mean = [0.0] and std = [{LEVEL:.8f}] in "
            "[model] of the policy give them and are accepted"
        )
    if problems or size is None:
        raise SubjectError(problems)
    return Preprocessing(
        size=size, channels=terms.channels, mean=terms.mean, std=terms.std, resize=terms.resize
    )


def check_processor(
    processor: Processor, preprocessing: Preprocessing, image: NDArray[np.uint8], where: str
) -> None:
    """Refuse a policy that prepares an image in another way than what will prepare it in service.

    Args:
        processor: What lies beside the model.
        preprocessing: Preprocessing of the policy.
        image: Decoded image.
        where: Name of the model in messages.

    Raises:
        SubjectError: If the two give other numbers, with the lines that give the same.
    """
    ours = preprocessing.inputs(torch.from_numpy(preprocessing.pixels(image))[None])[0].numpy()
    theirs = processor.prepare(image)
    cure = (
        "images are prepared by that processor where the model is deployed, so the same is "
        f"accepted in [model] of the policy: {processor.lines}"
    )
    if theirs.shape != ours.shape:
        raise SubjectError(
            f"{where}: its image processor makes {theirs.shape} of an image and the policy "
            f"{ours.shape}; {cure}"
        )
    std = np.asarray(preprocessing.std, dtype=np.float64)[:, None, None]
    apart = float((np.abs(theirs - ours) * std / LEVEL).max())
    if not apart <= MOST_LEVELS:
        raise SubjectError(
            f"{where}: its image processor and the policy make other numbers of the same image, up "
            f"to {number(apart)} of 255 levels apart; {cure}"
        )
