"""Where a case is put together and assessed."""

import pytest
from case_table import Bench


@pytest.fixture
def bench(tmp_path):
    """A bench in a folder of its own."""
    return Bench(tmp_path)
