"""What this machine cannot do is said when a worker starts, and is no fault of a model."""

import os
from dataclasses import replace

import pytest
import refused_network
import torch

from governance.errors import HostError
from governance.worker import host
from governance.worker.config import WorkerConfig
from governance.worker.host import check_host

pytestmark = pytest.mark.worker


@pytest.fixture
def network_refused(tmp_path, monkeypatch):
    """Processes of Python may not leave their network."""
    folder = tmp_path / "python"
    folder.mkdir()
    refused_network.install(folder)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path.rstrip(os.pathsep))


def test_a_machine_that_can_do_everything_passes():
    check_host(WorkerConfig())


def test_a_network_that_cannot_be_given_up_is_a_fault_where_it_has_to_be(network_refused):
    check_host(WorkerConfig(network="none if possible"))
    check_host(WorkerConfig(network="as the worker"))
    with pytest.raises(HostError, match=r"network = 'none': the network could not be given up"):
        check_host(WorkerConfig(network="none"))


def test_a_user_that_does_not_exist_is_a_fault():
    with pytest.raises(HostError, match="user = 'nobody at all'"):
        check_host(WorkerConfig(user="nobody at all"))


def test_a_limit_that_cannot_be_set_is_a_fault():
    with pytest.raises(HostError, match="memory_gib: an assessment cannot be limited"):
        check_host(WorkerConfig(memory_gib=1e20))


def test_memory_in_which_not_even_python_starts_is_a_fault():
    with pytest.raises(HostError, match="a confined process without a model ended with code"):
        check_host(WorkerConfig(memory_gib=0.004))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_a_fault():
    with pytest.raises(HostError, match="device = 'cuda': torch finds no GPU here"):
        check_host(WorkerConfig(device="cuda"))


def test_a_disk_without_room_is_a_fault_and_all_are_told_at_once(monkeypatch):
    monkeypatch.setattr(host, "FREE", 2**60)
    with pytest.raises(HostError) as caught:
        check_host(replace(WorkerConfig(), user="nobody at all"))
    disk, user = caught.value.problems
    assert "MiB are free in" in disk
    assert "user = 'nobody at all'" in user
