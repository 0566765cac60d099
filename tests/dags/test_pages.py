"""The model pages: who may see which, and that a validation is the one the ledger knows. Compose tests the login."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient

from retraining.pipeline import retrain as stages
from retraining.pipeline.admission import admit
from retraining_airflow.ui.app import make_app
from samples.fleet import fleet, names
from samples.queries import asked
from samples.records import champion, evaluation, verdict
from samples.tiny import NAME, day, environ, rows, rows_of, tiny

HOSTILE = "<script>alert(1)</script>"


class Allows:
    """An auth manager's one answer that the pages need."""

    def __init__(self, dags: set[str]) -> None:
        self._dags = dags

    def is_authorized_dag(self, *, method: str, details: object, user: object) -> bool:
        return method == "GET" and getattr(details, "id", None) in self._dags


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("pages")
    frame = rows(range(42), lambda n: rows_of(n).assign(kind=HOSTILE) if n == 39 else rows_of(n))
    workspace = tiny(folder, frame)
    judged = verdict(
        "ab" * 32, reasons=(HOSTILE,), evaluation=evaluation(spec_id=workspace.freeze(workspace.spec(NAME)))
    )
    workspace.ledger.add_verdict(judged, [])
    workspace.ledger.move_champion(champion(verdict_id=judged.id))
    frozen = workspace.spec(NAME)
    admission = admit(workspace, frozen, as_of=day(40), fallback=day(40), trigger="person", reason="", dry_run=False)
    stages.validate(workspace, admission, stages.ingest(workspace, admission))
    return environ(workspace.settings)


@pytest.fixture
def client(installation: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., TestClient]:
    for name, value in installation.items():
        monkeypatch.setenv(name, value)

    def make(*dags: str) -> TestClient:
        app = make_app()
        app.dependency_overrides[get_user] = lambda: "somebody"
        app.dependency_overrides[get_auth_manager] = lambda: Allows(set(dags))
        return TestClient(app)

    return make


def test_a_user_sees_the_models_whose_retraining_they_may_see(client: Callable[..., TestClient]) -> None:
    assert NAME in client(f"retrain__{NAME}").get("/models").text
    assert NAME not in client().get("/models").text
    assert client().get(f"/models/{NAME}").status_code == 403
    assert client("retrain__nothing").get("/models/nothing").status_code == 404


def test_the_models_page_asks_ten_times_at_most_whatever_there_is(
    client: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for n_models in (2, 8):
        workspace = fleet(tmp_path / str(n_models), n_models, 3)
        browser = client(*(f"retrain__{name}" for name in names(n_models)))
        for name, value in environ(workspace.settings).items():
            monkeypatch.setenv(name, value)
        browser.get("/models")  # the first one opens the ledger
        with asked() as seen:
            page = browser.get("/models").text
        assert page.count('class="tag quiet"') == n_models, "what the monitor decided of each"
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 10


def test_a_validation_is_reachable_and_runs_nothing(client: Callable[..., TestClient]) -> None:
    browser = client(f"retrain__{NAME}")
    page = browser.get(f"/models/{NAME}").text
    link = page.split('href="tiny/validations/')[1].split('"')[0]
    answer = browser.get(f"/models/{NAME}/validations/{link}")
    assert answer.status_code == 200 and "Validation of tiny" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert HOSTILE not in answer.text + page
    for other in ("x/y.html", f"{link}x", "..%2F..%2Fspecs/a.json"):
        assert browser.get(f"/models/{NAME}/validations/{other}").status_code == 404
    assert client().get(f"/models/{NAME}/validations/{link}").status_code == 403


def test_a_verdict_and_a_card_are_reachable_and_run_nothing(client: Callable[..., TestClient]) -> None:
    browser = client(f"retrain__{NAME}")
    page = browser.get(f"/models/{NAME}").text
    link = f"{NAME}/verdicts/{'ab' * 32}"
    assert f'href="{link}"' in page and f'href="{NAME}/versions/1"' in page and HOSTILE not in page
    answer = browser.get(f"/models/{link}")
    assert answer.status_code == 200 and "What became of it" in answer.text
    assert "version 1, by gate" in answer.text, "with what became of it up to now"
    assert "cannot be shown" in answer.text, "its figures are not in the store"
    assert HOSTILE not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "img-src data:" in policy and "script" not in policy
    lost = browser.get(f"/models/{NAME}/versions/1")
    assert lost.status_code == 404 and "releases/release1" in lost.text, "says what is missing"
    for other in (f"{NAME}/verdicts/{'cd' * 32}", f"other/verdicts/{'ab' * 32}", f"{NAME}/versions/7"):
        assert client(f"retrain__{NAME}", "retrain__other").get(f"/models/{other}").status_code == 404
    for seen in (link, f"{NAME}/versions/1"):
        assert client().get(f"/models/{seen}").status_code == 403


def test_while_the_ledger_is_away_every_page_says_so(
    client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ledger.db").mkdir()
    monkeypatch.setenv("RETRAINING_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    browser = client(f"retrain__{NAME}")
    below = f"/models/{NAME}"
    for page in ("/models", below, f"{below}/verdicts/{'ab' * 32}", f"{below}/versions/1", f"{below}/validations/a/b"):
        answer = browser.get(page)
        assert answer.status_code == 503, page
        assert "Check RETRAINING_LEDGER and the database." in answer.json()["detail"]
