"""What the installed MLflow can do to a registry, against a list that someone has read.

A new method or route fails here until `reviewed.txt` says what it means for protected versions.
"""

import inspect
import re
import warnings
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

VERDICTS = {"governed", "through", "reads", "exempt"}
REVIEWED = [
    line.split(maxsplit=3)
    for line in (Path(__file__).parent / "reviewed.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
METHODS = {what: (verdict, why) for kind, what, verdict, why in REVIEWED if kind == "method"}
ROUTES = [(kind, what) for kind, what, *_ in REVIEWED if kind != "method"]


@pytest.fixture(scope="module")
def stores():
    """MLflow's registry stores: what they promise, and what the server opens."""
    from mlflow.store.model_registry.abstract_store import AbstractStore  # noqa: PLC0415
    from mlflow.store.model_registry.rest_store import RestStore  # noqa: PLC0415
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415

    return (AbstractStore, SqlAlchemyStore, RestStore)


@pytest.fixture(scope="module")
def ours():
    """The names of what our store decides."""
    from mlflow_plugins.governed import Governed  # noqa: PLC0415

    return set(vars(Governed)) & set(METHODS)


@pytest.fixture(scope="module")
def routes():
    """Method and path of all that the server answers, and whether that opens the registry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server import app  # noqa: PLC0415
        from mlflow.server.fastapi_app import create_fastapi_app  # noqa: PLC0415

        served = create_fastapi_app().routes
    return sorted({*flask_routes(app), *fastapi_routes(served)})


def flask_routes(app):
    """What MLflow answers with Flask."""
    for rule in app.url_map.iter_rules():
        source = inspect.getsource(inspect.unwrap(app.view_functions[rule.endpoint]))
        opens = "_get_model_registry_store" in source or "search_model_versions_impl" in source
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield method, plain(rule.rule), opens


def fastapi_routes(served, prefix=""):
    """What MLflow answers without Flask."""
    for route in served:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from fastapi_routes(inner.routes, prefix + route.include_context.prefix)
        for method in (getattr(route, "methods", None) or set()) - {"HEAD", "OPTIONS"}:
            yield method, plain(prefix + route.path), False


def plain(path):
    """MLflow's page has paths of its own to the same functions."""
    return re.sub("^/(ajax-)?api", "/api", path)


def lines_for(method, path):
    """The reviewed lines that cover a route."""
    return [
        (kind, what)
        for kind, what in ROUTES
        if kind in {method, "*"} and (what == path or ("*" in what and fnmatchcase(path, what)))
    ]


def test_the_list_says_something_of_each_line():
    assert {verdict for _, _, verdict, _ in REVIEWED} == VERDICTS
    assert all(why.strip() for *_, why in REVIEWED)


def test_every_method_of_a_registry_store_was_reviewed(stores):
    found = {name for store in stores for name in dir(store) if not name.startswith("_")}
    # What databases have is theirs: attributes of an object, or how often something is tried.
    written = {
        name for name in found if name.islower() and callable(getattr(stores[1], name, None))
    }

    assert sorted(written | {"supports_workspaces"}) == sorted(METHODS)


def test_what_is_governed_is_ours_and_nothing_else(ours):
    assert ours == {name for name, (verdict, _) in METHODS.items() if verdict == "governed"}


def test_what_goes_through_a_governed_method_calls_it(stores):
    for name, (verdict, why) in METHODS.items():
        target = re.split(r"[ ,]", why)[0]
        if verdict == "through":
            assert METHODS[target][0] == "governed"
            assert all(f"self.{target}(" in inspect.getsource(getattr(s, name)) for s in stores)


def test_every_route_of_the_server_was_reviewed(routes):
    new = [f"{method} {path}" for method, path, _ in routes if not lines_for(method, path)]

    assert len(routes) > 200
    assert new == []


def test_a_route_that_opens_the_registry_was_looked_at_by_itself(routes):
    opening = [(method, path) for method, path, opens in routes if opens]

    assert len(opening) > 20
    assert [line for line in opening if line not in ROUTES] == []


def test_no_line_is_about_what_is_gone(routes):
    used = {line for method, path, _ in routes for line in lines_for(method, path)}

    assert set(ROUTES) - used == set()
