"""Model terms: what a policy says about the model's files and inputs."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from governance.records.decoding import IF_SET
from governance.records.resizing import Resize, Resizing, read_resize
from governance.records.served_terms import ServedTerms, read_served
from governance.records.toml_reader import Reader

__all__ = ["FLAVOURS", "Flavour", "Layout", "ModelTerms", "Outputs", "read_model_terms"]

#: Ways to open a model: those that MLflow knows, and through a scoring server.
Flavour = Literal["pytorch", "transformers", "onnx", "served"]
FLAVOURS: tuple[str, ...] = get_args(Flavour)
#: Order in which a model that is no torch module takes the numbers of a batch of images.
Layout = Literal["channels_first", "channels_last", "no_channels", "flat"]
LAYOUTS: tuple[str, ...] = get_args(Layout)

#: Meaning of the numbers that a model returns.
Outputs = Literal["logits", "probabilities", "sigmoid", "multilabel", "multilabel_logits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTerms:
    """What a policy says about the model's files and inputs: its `[model]` table.

    Attributes:
        size: Height and width of the input in pixels; those of the model's signature if not given.
        channels: Input channels of the model, in order.
        mean: Mean of each channel, subtracted from pixels in [0, 1]. One number serves all.
        std: Standard deviation of each channel; what is left after the mean is divided by it. One
            number serves all.
        resize: Treatment of images of another size. `none` refuses them, `squash` ignores the
            aspect ratio, and `crop` brings the short side to size and cuts out the centre, both
            bicubically. A table says an evaluation transform.
        outputs: Kind of numbers that the model returns. `logits` are numbers before a softmax, or
            one number before a sigmoid for two classes; `probabilities` sum to one; `sigmoid` is
            one number from 0 to 1, the probability of the second of two classes. `multilabel` is a
            number from 0 to 1 for each label, independent of the others, and `multilabel_logits`
            the same before the sigmoid.
        output_name: Name of the output that holds these numbers where the model returns several: a
            key, a field, or a position such as `1`, joined by dots where one lies in another.
        allow_pickle: Whether a pickled model may be loaded. Loading one runs code from the file.
        class_names: Name of each output of the model, in order: a list, or a file of it beside the
            policy or in MLflow. Those that the model's metadata or tag give, if not given.
        absent: Classes of the model that have no validation images. Nothing is expected of them.
        flavour: MLflow flavour that the model is opened by. By default it is the one through which
            most of the model can be seen.
        layout: Order of an image's numbers where the model is no torch module. `channels_first`
            puts a batch as (B, C, H, W), `channels_last` as (B, H, W, C), `no_channels` as
            (B, H, W), and `flat` as rows of numbers. By default it is that of the signature.
        served: Scoring server that answers for a model of the flavour `served`.
    """

    size: tuple[int, int] | None = None
    channels: Literal["rgb", "bgr", "grey"] = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: Resizing = "none"
    outputs: Outputs = "logits"
    output_name: str | None = field(default=None, metadata=IF_SET)
    allow_pickle: bool = False
    class_names: tuple[str, ...] | str | None = field(default=None, metadata=IF_SET)
    absent: tuple[str, ...] | None = field(default=None, metadata=IF_SET)
    flavour: Flavour | None = field(default=None, metadata=IF_SET)
    layout: Layout | None = field(default=None, metadata=IF_SET)
    served: ServedTerms | None = field(default=None, metadata=IF_SET)

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width that the policy gives the input; None where it leaves them open."""
        return self.size or (self.resize.size if isinstance(self.resize, Resize) else None)


def read_model_terms(reader: Reader) -> ModelTerms:
    """The table `[model]` of a policy."""
    terms = reader.table("model")
    model = ModelTerms(
        size=terms.numbers("size", None, whole=True, count=2, above=0),  # type: ignore[arg-type]
        channels=terms.choice("channels", "rgb", ("rgb", "bgr", "grey")),  # type: ignore[arg-type]
        mean=terms.numbers("mean", (0.0,)) or (0.0,),
        std=terms.numbers("std", (1.0,), above=0) or (1.0,),
        resize=read_resize(terms),
        outputs=terms.choice("outputs", "logits", get_args(Outputs)),  # type: ignore[arg-type]
        output_name=terms.text("output_name", "") or None,
        allow_pickle=terms.flag("allow_pickle", default=False),
        class_names=terms.text_or_texts("class_names"),
        absent=terms.texts("absent", None),
        flavour=terms.choice("flavour", "", FLAVOURS) or None,  # type: ignore[arg-type]
        layout=terms.choice("layout", "", LAYOUTS) or None,  # type: ignore[arg-type]
        served=read_served(terms),
    )
    depth = 1 if model.channels == "grey" else 3
    for name, values in (("mean", model.mean), ("std", model.std)):
        if len(values) not in {1, depth}:
            terms.problem(name, f"has {len(values)} numbers; 1 or {depth} are accepted")
    if isinstance(model.resize, Resize) and model.resize.size not in {None, model.input_size}:
        terms.problem("size", f"is {model.size}, and resize leaves {model.resize.size}; the same "
                      "is accepted, or no size")  # fmt: skip
    if model.served is not None and model.flavour != "served":
        terms.problem("served", "stands without flavour = 'served', beside which it is accepted")
    terms.done()
    return model
