"""Fixtures shared by all tests: one torch thread, and a tiny subject whose answers are known."""

import hashlib
import os
import shutil
import signal

import lanes
import numpy as np
import pytest
import servers
import torch
from lanes import needs
from shared import once
from torch import nn

from governance.records.identity import ModelIdentity
from governance.records.version_ref import VersionRef
from governance.subject.images.validation_set import ValidationSet
from governance.subject.network import Network, tensor_digest
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject

# Read by MLflow when it is imported, here and in the processes that tests start.
os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
)


def pytest_addoption(parser):
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="write tests/golden anew from what is printed now, to be read before it is kept",
    )


def pytest_configure():
    """No process is started that a test's marks do not tell of."""
    lanes.watch()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests get the marks of the fixtures that they use; those that take longest go first."""
    for item in items:
        lanes.mark(item)
    lanes.order(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Layers that a test makes draw their weights alike, whatever ran before in this process."""
    lanes.enter(item)
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard():
    """A shell starts background jobs deaf to Ctrl-C, and their children inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    torch.set_num_threads(1)


class TinyNet(nn.Module):
    """Two convolutions, batch normalisation, a residual branch, pooling and a linear head."""

    def __init__(self, channels: int = 1, classes: int = 3, width: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.branch = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.branch_norm = nn.BatchNorm2d(width)
        self.activation = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.activation(self.stem_norm(self.stem(x)))
        x = self.activation(x + self.branch_norm(self.branch(x)))
        return self.head(self.pool(x).flatten(1))


def stripes(per_class: int = 40, size: int = 16, seed: int = 0, noise: float = 0.15):
    """Images of horizontal, vertical and diagonal stripes with noise: (N, H, W) uint8, labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    patterns = (rows, columns, rows + columns)
    images, labels = [], []
    for label, ramp in enumerate(patterns):
        for _ in range(per_class):
            wave = ((ramp + rng.integers(0, 4)) // 2) % 2
            image = np.clip(wave * 0.7 + 0.15 + rng.normal(0, noise, (size, size)), 0, 1)
            images.append((image * 255).astype(np.uint8))
            labels.append(label)
    order = rng.permutation(len(labels))
    return np.stack(images)[order], np.array(labels, dtype=np.int64)[order]


def trained(images, labels, *, seed: int = 0, steps: int = 60, classes: int = 3) -> nn.Module:
    """A TinyNet that has learnt the images, normalised to mean and std 0.5, from its own seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = TinyNet(classes=classes)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    x = torch.from_numpy((images.astype(np.float32) / 255 - 0.5) / 0.5)[:, None]
    y = torch.from_numpy(labels)
    model.train()
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return model.eval()


def validation_of(images, labels, class_names=("horizontal", "vertical", "diagonal")):
    """A validation set held in memory."""
    hashes = tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in images)
    text = "\n".join([*class_names, *(f"{y} {h}" for y, h in zip(labels, hashes, strict=True))])
    return ValidationSet(
        location="memory",
        images=images,
        labels=labels,
        class_names=tuple(class_names),
        ids=tuple(str(i) for i in range(len(labels))),
        hashes=hashes,
        digest=f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
    )


def subject_of(model, validation, *, size: int = 16, channels="grey") -> Subject:
    """A subject on the CPU."""
    return Subject(
        identity=ModelIdentity(
            uri="models:/tiny/1",
            digest=tensor_digest(model),
            artifact_digest="sha256:" + "0" * 64,
            format="pt2",
            parameters=sum(p.numel() for p in model.parameters()),
            ref=VersionRef(name="tiny", version="1", created=1_700_000_000_000),
        ),
        classifier=Network(
            model=model,
            device=torch.device("cpu"),
            preprocessing=Preprocessing(
                size=(size, size), channels=channels, mean=(0.5,), std=(0.5,)
            ),
        ),
        validation=validation,
    )


@pytest.fixture(scope="session")
def tiny_subject() -> Subject:
    """A trained TinyNet on 120 unseen images of three kinds of stripes."""
    return subject_of(trained(*stripes()), validation_of(*stripes(seed=1)))


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory):
    """An empty MLflow database, migrated once: that takes seconds."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    def migrate(folder):
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_registered_models()

    return once(tmp_path_factory, "migrated", migrate) / "mlflow.db"


@pytest.fixture
def mlflow_store(migrated_store, tmp_path, monkeypatch):
    """An own MLflow in `tmp_path`, SQLite and local artifacts, that MLflow's calls go to."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    # Artifacts of a database without a server lie in the working directory.
    monkeypatch.chdir(tmp_path)
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("training")
    yield tmp_path
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
@needs("server")
def running_server(migrated_store, tmp_path_factory):
    """The address of a real MLflow server, which takes half a minute to start."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(migrated_store, folder / "mlflow.db")
    with servers.mlflow_server(folder) as address:
        yield address


@pytest.fixture
def mlflow_server(running_server, tmp_path, monkeypatch):
    """The address of a real MLflow server that MLflow's calls go to."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(running_server)
    mlflow.set_experiment("training")
    yield running_server
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
def make_trained():
    """A TinyNet that learnt the stripes from a seed of its own."""
    return lambda seed: trained(*stripes(), seed=seed)


@pytest.fixture(scope="session")
def make_stripes():
    """Images of stripes and their labels, as many as asked for, from a seed of their own."""
    return stripes
