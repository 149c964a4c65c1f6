"""Which libraries work: a table in docs/, of the tests that have the marker `feature`."""

import pytest

from tests.helpers.libraries_table import JSON, Row, update

ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser):
    parser.addoption("--write-table", action="store_true", help="into docs/libraries.json")


def pytest_configure(config):
    config.stash[ROWS] = []


def pytest_ignore_collect(collection_path, config):
    """Leave modules alone that import what need not be there, unless they are asked for."""
    if collection_path.name.startswith("test_") and "libraries" not in config.getoption("-m"):
        return True
    return None


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "libraries":
            item.add_marker(pytest.mark.libraries)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    feature = item.get_closest_marker("feature")
    if feature is not None and (report.when == "call" or report.failed):
        results = [value for name, value in report.user_properties if name == "result"]
        item.config.stash[ROWS].append(Row.made(*feature.args, report.passed, ", ".join(results)))
    return report


def pytest_sessionfinish(session):
    if session.config.getoption("--write-table", False):
        update(JSON, session.config.stash[ROWS])
