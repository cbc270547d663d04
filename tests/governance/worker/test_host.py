"""What this machine cannot do is said when a worker starts, and is no fault of a model."""

import pytest
import torch
from walls import forbid_namespaces, namespaces_work

from governance.errors import HostError
from governance.worker import host, sandbox
from governance.worker.config import WorkerConfig
from governance.worker.host import check_host

pytestmark = pytest.mark.worker


def test_a_machine_that_can_do_everything_passes():
    gaps = check_host(WorkerConfig())

    assert bool(gaps) != namespaces_work()


def test_namespaces_that_are_forbidden_are_a_fault_where_they_are_required(tmp_path, monkeypatch):
    forbid_namespaces(tmp_path, monkeypatch)

    files, processes = check_host(WorkerConfig(confinement="if possible"))
    with pytest.raises(HostError, match="bwrap: No permissions to create new namesp") as caught:
        check_host(WorkerConfig(confinement="required"))

    assert "keys" in files
    assert "fill the disk" in files
    assert "memory of this user's processes" in processes
    assert caught.value.problems[1:] == (files, processes)


def test_a_machine_without_bubblewrap_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(HostError, match=r"bubblewrap \(the program bwrap\) is not installed"):
        check_host(WorkerConfig(confinement="required"))


def test_a_kernel_that_filters_nothing_is_a_fault_where_all_is_required(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import platform; platform.machine = lambda: 'pdp11'"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    sandbox._tried.cache_clear()
    try:
        gaps = check_host(WorkerConfig())
        with pytest.raises(HostError, match="filters no system calls"):
            check_host(WorkerConfig(confinement="required"))
    finally:
        sandbox._tried.cache_clear()

    assert "start processes that outlive it" in gaps[-1]


def test_a_limit_that_cannot_be_set_is_a_fault():
    with pytest.raises(HostError, match="memory_gib: an assessment cannot be limited"):
        check_host(WorkerConfig(memory_gib=1e20))


def test_memory_in_which_nothing_can_be_done_is_a_fault():
    with pytest.raises(
        HostError, match=r"a confined process without a model: .*256 MiB can be had"
    ):
        check_host(WorkerConfig(memory_gib=0.004))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_a_fault():
    with pytest.raises(HostError, match="device = 'cuda': torch finds no GPU here"):
        check_host(WorkerConfig(device="cuda"))


def test_a_disk_without_room_is_a_fault_and_all_are_told_at_once(monkeypatch):
    monkeypatch.setattr(host, "FREE", 2**60)
    with pytest.raises(HostError) as caught:
        check_host(WorkerConfig(memory_gib=1e20))
    disk, memory = caught.value.problems
    assert "MiB are free in" in disk
    assert "memory_gib" in memory
