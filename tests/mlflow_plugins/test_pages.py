"""MLflow's own pages on a governed server, in Debian's Chromium: what people see and can click."""

import assessed
import pytest
from browsers import ABSENT, chromium
from mlflow.exceptions import MlflowException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

ALIASES = "[data-component-id*='modelversionviewaliaseditor']"
PROMOTE = "[data-component-id*='promotemodelbutton']"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without a window."""
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    if driver is None:
        pytest.fail(ABSENT)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def approved(governed_server, tiny_subject, tmp_path_factory):
    """The server with an approved version of `shown`, and an empty registered model `released`."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    address, office = governed_server
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    mlflow.set_experiment("training")
    try:
        assessed.log(tiny_subject.network.model, "shown")
        folder = tmp_path_factory.mktemp("shown")
        assessed.recorded("models:/shown/1", tiny_subject.validation, office.assessor, folder)
        client = mlflow.MlflowClient()
        client.create_registered_model("released")
    finally:
        mlflow.set_tracking_uri(before)
    return address, mlflow.MlflowClient(address, address)


def wait(browser):
    """Waits as long as a busy machine needs."""
    return WebDriverWait(browser, 60)


def click(browser, selector):
    """Click what a selector finds, once it is there."""
    wait(browser).until(lambda page: page.find_element(By.CSS_SELECTOR, selector)).click()


def dialog(browser):
    """The one that is open."""
    return wait(browser).until(lambda page: page.find_element(By.CSS_SELECTOR, "[role=dialog]"))


def press(browser, text):
    """Press a button of the open dialog."""
    buttons = dialog(browser).find_elements(By.TAG_NAME, "button")
    next(button for button in buttons if button.text == text).click()


def text_with(browser, words):
    """The page's text, once it holds the words."""

    def holds(page):
        text = page.find_element(By.TAG_NAME, "body").text
        return text if words in text else None

    return wait(browser).until(holds)


def visit(browser, address, name, number):
    """The page of a version, loaded anew."""
    browser.get("about:blank")
    browser.get(f"{address}/#/models/{name}/versions/{number}")


def test_the_page_of_a_version_shows_the_verdict_and_leads_to_the_report(browser, approved):
    # act
    address, client = approved
    visit(browser, address, "shown", 1)
    text = text_with(browser, "Governance: approved")
    # assert
    assert "performance.accuracy at least 0.5" in text
    link = browser.find_element(By.LINK_TEXT, "report").get_attribute("href")
    run_id = client.get_model_version("shown", "1").tags["governance.run_id"]
    assert link.endswith(f"/runs/{run_id}/artifacts/governance/report.pdf")


def test_the_dialog_for_aliases_shows_why_one_is_refused(browser, approved):
    # arrange
    address, client = approved
    client.create_registered_model("fresh")
    client.create_model_version("fresh", "s3://nowhere/model", await_creation_for=0)
    visit(browser, address, "fresh", 1)
    # act
    click(browser, ALIASES)
    field = dialog(browser).find_element(By.TAG_NAME, "input")
    field.send_keys("champion")
    field.send_keys(Keys.ENTER)
    press(browser, "Save aliases")
    # assert
    text = text_with(browser, "is refused")
    assert "the protected alias 'champion' is refused: carries no signed statement" in text
    assert "governance assess models:/fresh/1" in text
    assert client.get_registered_model("fresh").aliases == {}


def test_a_version_that_is_approved_gets_its_alias_in_the_dialog(browser, approved):
    # arrange
    address, client = approved
    visit(browser, address, "shown", 1)
    # act
    click(browser, ALIASES)
    field = dialog(browser).find_element(By.TAG_NAME, "input")
    field.send_keys("champion")
    field.send_keys(Keys.ENTER)
    press(browser, "Save aliases")
    wait(browser).until(lambda _page: client.get_registered_model("shown").aliases)
    # assert
    assert client.get_registered_model("shown").aliases == {"champion": "1"}


def test_a_promoted_copy_carries_no_approval_along(browser, approved):
    # arrange
    address, client = approved
    visit(browser, address, "shown", 1)
    # act
    click(browser, PROMOTE)
    field = dialog(browser).find_element(By.TAG_NAME, "input")
    field.send_keys("released")
    option = "[class*=select-item-option][title=released]"
    wait(browser).until(lambda page: page.find_element(By.CSS_SELECTOR, option)).click()
    press(browser, "Promote")
    found = wait(browser).until(lambda _page: client.search_model_versions("name = 'released'"))
    # assert: the server stamps the copy, and the description's summary is gone
    (copy,) = found
    assert copy.tags == {"governance.status": "pending"}
    assert "approved" not in (copy.description or "")
    with pytest.raises(MlflowException, match="carries no signed statement"):
        client.set_registered_model_alias("released", "champion", copy.version)
