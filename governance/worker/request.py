"""Request: what a confined process is asked for, as files in the folder it is given."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.errors import EvidenceError
from governance.records.assessment import Assessment
from governance.records.lineage import Lineage
from governance.records.policy import Policy
from governance.records.serialisation import from_data, to_data
from governance.registry.materials import Materials
from governance.registry.versions import ModelVersion

__all__ = ["Request"]

FILE, POLICY = "request.json", "policy.toml"
PREVIOUS, FIRST, PLANTED, REFERENCES = "previous", "first", "planted", "references"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to assess, under which policy, and what to compare it with.

    Attributes:
        materials: Files of the version and its images, on this machine.
        policy: Policy as read by the worker.
        lineage: Recorded assessments to compare with.
        device: `cpu` or `cuda`.
    """

    materials: Materials
    policy: Policy
    lineage: Lineage
    device: str

    def save(self, folder: Path) -> None:
        """Write the request into a folder.

        Raises:
            OSError: If the disk refuses.
        """
        lineage = self.lineage
        earlier = {PREVIOUS: lineage.previous, FIRST: lineage.first, PLANTED: lineage.planted}
        for name, found in earlier.items():
            if found is not None:
                found.save(folder / name)
        for number, reference in enumerate(lineage.references):
            reference.save(folder / REFERENCES / f"{number:04d}")
        (folder / POLICY).write_text(self.policy.text, encoding="utf-8")
        data = {
            "materials": to_data(self.materials),
            "validation": self.policy.validation,
            "class_names": self.policy.model.class_names,
            "data": lineage.data,
            "unknown": lineage.unknown,
            "device": self.device,
        }
        # A history may hold NaN, which records do not.
        (folder / FILE).write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Request":
        """The request in a folder.

        Raises:
            EvidenceError: If it is damaged.
            PolicyError: If its policy cannot be read.
        """
        try:
            data = json.loads((folder / FILE).read_text(encoding="utf-8"))
            policy = Policy.loads((folder / POLICY).read_text(encoding="utf-8"), where=POLICY)
            return cls(
                materials=_materials(data["materials"]),
                policy=policy.at(data["validation"], data["class_names"]),
                lineage=Lineage(
                    previous=_earlier(folder / PREVIOUS),
                    first=_earlier(folder / FIRST),
                    planted=_earlier(folder / PLANTED),
                    references=tuple(
                        Assessment.load(path) for path in sorted(folder.glob(f"{REFERENCES}/*"))
                    ),
                    data=tuple((name, digest) for name, digest in data["data"]),
                    unknown=data["unknown"],
                ),
                device=data["device"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EvidenceError(f"{folder}: no request of a worker: {error!r}") from error


def _materials(data: dict[str, Any]) -> Materials:
    given = dict(data)
    curves = {
        key: tuple((int(step), float(value)) for step, value in points)
        for key, points in given.pop("history").items()
    }
    names, version = given.pop("class_names"), from_data(ModelVersion, given.pop("version"))
    return Materials(
        version=version,
        history=curves,
        class_names=None if names is None else tuple(names),
        **given,
    )


def _earlier(folder: Path) -> Assessment | None:
    return Assessment.load(folder) if folder.exists() else None
