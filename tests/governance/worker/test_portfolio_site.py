"""The site that the worker makes again: by a process of its own, whose failure ends nothing."""

import mlflow
import pytest

from governance.worker.config import WorkerConfig
from governance.worker.portfolio_site import PortfolioSite

RULES = '[[worker.policies]]\nmodels = "*"\npolicy = "policy.toml"\n'


def test_no_site_is_made_unless_a_folder_is_named(tmp_path):
    (tmp_path / "policy.toml").touch()
    plain, named = tmp_path / "plain.toml", tmp_path / "named.toml"
    plain.write_text(RULES)
    named.write_text(f'[worker]\nportfolio = "site"\n{RULES}')

    assert WorkerConfig.load(plain).portfolio is None
    assert WorkerConfig.load(named).portfolio == tmp_path / "site"


@pytest.mark.slow
def test_a_site_is_made_and_what_stands_in_its_way_is_said(mlflow_store, tmp_path, monkeypatch):
    # arrange
    folder = tmp_path / "site"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.get_tracking_uri())
    # act / assert
    assert PortfolioSite(folder=folder, config=None, keys=None).renew() is None
    assert "0 registered models" in (folder / "index.html").read_text()
    missing = PortfolioSite(folder=folder, config=None, keys=tmp_path / "ring.toml").renew()
    assert "ring.toml" in missing
