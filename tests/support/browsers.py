"""Browsers: Debian's Chromium without a window, for tests of pages."""

import shutil

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

#: Why a test that needs one does not run.
ABSENT = "Chromium and its driver are not installed; ci/setup dev installs them"


def chromium(profile):
    """A driver of Chromium with a new profile folder; None where it is not installed."""
    found = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if None in found.values():
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = found["chromium"]
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--window-size=1400,1000", f"--user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=Service(found["chromedriver"]))
