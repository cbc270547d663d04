"""Registry store: MLflow's own model registry, with protected aliases kept for approved versions.

Entry points `governed+sqlite` and so on: `mlflow server --registry-store-uri
governed+sqlite:///mlflow.db`. What is protected stands in `governance.toml` in the working
directory of the server. MLflow imports this module with every client, so that it imports nothing.
"""

from typing import Any

__all__ = ["build"]


def build(store_uri: str, tracking_uri: str | None = None) -> Any:
    """The registry at a URI that begins with `governed+`.

    Args:
        store_uri: `governed+` and what MLflow would have been given without us.
        tracking_uri: Not needed; MLflow passes it by name.
    """
    del tracking_uri
    from mlflow_plugins.stores import open_store

    return open_store(store_uri)
