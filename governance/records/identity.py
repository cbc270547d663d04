"""Identity: which model was assessed, and on which images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from governance.records.decoding import FLAT, IF_SET
from governance.records.version_ref import VersionRef

__all__ = ["ModelFormat", "ModelIdentity", "ModelSignature", "ServedBy", "ValidationIdentity"]

#: How a model is stored: an export or a pickle of torch, weights beside a known architecture, a
#: graph of ONNX, code that MLflow calls, or nowhere here, behind a server that answers.
ModelFormat = Literal["pt2", "pickle", "safetensors", "onnx", "served"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSignature:
    """A signature that lies beside a model's files.

    Attributes:
        signer: Owner of the key that signed all files; None where nobody checked it.
        key: Id of that key.
    """

    signer: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBy:
    """The scoring server that answered for a model.

    Attributes:
        address: Its address; None where it was started from the files of the version. Nothing shows
            that a server elsewhere serves those files.
        repeated: Number of requests that were sent once more, since it was busy or away.
    """

    address: str | None = None
    repeated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which model was assessed: its place in MLflow and the digest of what it computes with.

    Attributes:
        uri: The place as resolved, pinned to a version where there is one.
        digest: sha256 over the tensors (name, dtype, shape, bytes): re-saving does not change it.
            Over the files where they hold no tensors that can be read.
        artifact_digest: sha256 over the model's files: a changed graph or pickle changes it.
        format: How the model is stored.
        parameters: Number of trainable numbers; None where they cannot be counted.
        ref: The registered version that it is; None where the model is not registered.
        model_id: Of MLflow's LoggedModel; None where there is none.
        run_id: Of the training run; None where unknown.
        layers: Digest of the tensors of each module that holds some, by its path, so that what
            changed between two versions can be told from their records.
        signature: Who signed the model's files; None where nobody did.
        served: Scoring server that answered for the model; None where it was opened here.
    """

    uri: str
    digest: str
    artifact_digest: str
    format: ModelFormat
    parameters: int | None
    ref: VersionRef | None = field(default=None, metadata=FLAT)
    model_id: str | None = None
    run_id: str | None = None
    layers: Mapping[str, str] = field(default_factory=dict)
    signature: ModelSignature | None = field(default=None, metadata=IF_SET)
    served: ServedBy | None = field(default=None, metadata=IF_SET)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", MappingProxyType(dict(self.layers)))

    @property
    def name(self) -> str | None:
        """Name of the registered model; None where the model is not registered."""
        return None if self.ref is None else self.ref.name

    @property
    def version(self) -> str | None:
        """Number of the registered version; None where the model is not registered."""
        return None if self.ref is None else self.ref.version


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationIdentity:
    """Which validation images a model was assessed on.

    Attributes:
        location: Path or URI as the policy names it.
        digest: sha256 over class names and every image's label and content.
        images: Number of images.
        class_names: In the order of the model's outputs.
        class_counts: Images of each class.
        absent: Classes that the policy says to have no images; None where it says so of none.
        named_by: Who named the classes; None where it was the images alone.
        skipped: Number of files and folders that were left out, by what they were skipped as, such
            as `thumbs.db`; None where nothing was.
        metadata: sha256 of what a list of images says of them besides their labels, by the name of
            its column; None where there is none.
    """

    location: str
    digest: str
    images: int
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    absent: tuple[str, ...] | None = field(default=None, metadata=IF_SET)
    named_by: str | None = field(default=None, metadata=IF_SET)
    skipped: Mapping[str, int] | None = field(default=None, metadata=IF_SET)
    metadata: Mapping[str, str] | None = field(default=None, metadata=IF_SET)

    @property
    def counted_names(self) -> tuple[str, ...]:
        """All classes but those that the policy says to have no images."""
        absent = set(self.absent or ())
        return tuple(name for name in self.class_names if name not in absent)

    @property
    def counted(self) -> tuple[int, ...]:
        """Images of each of `counted_names`."""
        counts = dict(zip(self.class_names, self.class_counts, strict=True))
        return tuple(counts[name] for name in self.counted_names)
