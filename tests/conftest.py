"""The cast and what every test stands on."""

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Playwright's synchronous API runs an event loop in the test's thread; Django would refuse the ORM there.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
# Two torch threads on busy cores are slower than one, and results depend on their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A busy machine draws slowly; that says nothing about the code under test.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


# Begun last, one of these would keep a single processor busy at the end. A list out of date costs time, nothing else.
LONGEST_FIRST = [
    "tests/demo/test_demo.py",
    "tests/learning/test_checkpoints.py",
    "tests/rewardmodel/training/test_same_update.py",
    "tests/rewardmodel/training/test_train.py",
    "tests/runs/test_training_runs.py",
    "tests/learning/test_engine.py",
    "tests/annotation/queue/test_contention.py",
    "tests/policy_training/training/test_ppo.py",
    "tests/rounds/test_circle.py",
    "tests/runs/test_worker.py",
    "tests/deployment/test_behind_nginx.py",
    "tests/config/test_api_schema_fuzz.py",
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slow tests before the quick ones, and of the slow ones the longest files first; some at full size only."""
    if not config.getoption("--full-size"):
        left_out = [item for item in items if item.get_closest_marker("full_size")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("slow") is None:
            return len(places) + 1
        return places.get(item.nodeid.split("::")[0], len(places))

    items.sort(key=place)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api-examples",
        type=int,
        default=2,
        help="of each operation of the API so many requests that its schema allows, and as many that it forbids",
    )
    parser.addoption(
        "--full-size",
        action="store_true",
        help="every seed and length of what is learned by chance, 5,000 tasks instead of 1,000 where many share them",
    )


@pytest.fixture(scope="session")
def full_size(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--full-size")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`@pytest.mark.seeds(5)`: a test of `seed` for five of them at full size, and otherwise for the first."""
    if marker := metafunc.definition.get_closest_marker("seeds"):
        seeds = range(*marker.args) if metafunc.config.getoption("--full-size") else range(1)
        metafunc.parametrize("seed", seeds)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, request: pytest.FixtureRequest
) -> Iterator[None]:
    """What pytest-django asks for before it makes the test database."""
    from tests.database_setup import quick_flush, sqlite_database_from_a_file

    with ExitStack() as stack:
        stack.enter_context(quick_flush())
        if cache := getattr(request.config, "cache", None):
            stack.enter_context(sqlite_database_from_a_file(cache.mkdir("migrated")))
        yield


@pytest.fixture(scope="session")
def fork_server():
    from tests.learning.fork_server import shared_fork_server

    return shared_fork_server()


@pytest.fixture(scope="session")
def schema_snapshots(django_db_setup, django_db_blocker):
    from tests.schema_snapshots import SchemaSnapshots

    snapshots = SchemaSnapshots()
    yield snapshots
    with django_db_blocker.unblock():
        snapshots.close()


@pytest.fixture
def schema_at(transactional_db, schema_snapshots):
    """An empty database with the schema of each (app, migration) and what they need, and the models of then; at the
    end the newest schema stands again.
    """
    schema_snapshots.remember_newest()
    yield schema_snapshots.go_to
    schema_snapshots.return_to_newest()


@pytest.fixture
def migrate_to(schema_at):
    """Migrates a database that `schema_at` made, with its rows, to the (app, migration); the models of then."""
    from tests.schema_snapshots import migrate

    return migrate


@pytest.fixture(autouse=True)
def repeatable_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's salt is random, and now and then 60 prompts of a random one have no two for validation."""
    from workspace import models

    numbers = itertools.count()
    monkeypatch.setattr(models, "random_split_salt", lambda: f"salt-of-the-tests-{next(numbers)}")


@pytest.fixture
def make_user(db):
    from workspace.models import User

    def make(username: str, **fields):
        return User.objects.create_user(username=username, password="correct horse battery", **fields)

    return make


@pytest.fixture
def max_(make_user):
    """Max manages."""
    return make_user("max")


@pytest.fixture
def project(max_):
    from workspace.actions import create_project

    return create_project(actor=max_, name="Kitchen", guideline="Prefer the answer that helps.")


@pytest.fixture
def criterion(project):
    return project.criteria.get()


@pytest.fixture
def ada(make_user, project, max_):
    """Ada annotates."""
    from workspace.members import set_role

    user = make_user("ada")
    set_role(actor=max_, project=project, user=user, role="annotator")
    return user


@pytest.fixture
def ruth(make_user, project, max_):
    """Ruth reviews."""
    from workspace.members import set_role

    user = make_user("ruth")
    set_role(actor=max_, project=project, user=user, role="reviewer")
    return user


@pytest.fixture
def olga(make_user):
    """Olga is an outsider: she manages another project."""
    from workspace.actions import create_project

    user = make_user("olga")
    create_project(actor=user, name="Garden")
    return user


@pytest.fixture
def program(client):
    """Calls the API as a program of somebody: by a token of theirs, for one project or (None) all of them."""
    import json

    from workspace.tokens.actions import create_token

    def of(person, project=None, *, scope="write", role="manager"):
        _, token = create_token(actor=person, project=project, name="program", scope=scope, role=role, days=1)

        def call(method, address, body=None, **headers):
            sent = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
            address = address if address.startswith("http") else f"/api/v1/{address}"
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.generic(
                method, address, headers={"Authorization": f"Bearer {token}"} | headers, **sent
            )

        return call

    return of


@pytest.fixture(scope="session")
def shared_data() -> Path | None:
    """The folder of real data, or None where it is absent; tests then run on generated data alone."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ROUNDTABLE_SHARED_DATA", default))
    return folder if folder.is_dir() else None


def chromium_path() -> str:
    """Debian's or the system's Chromium; the one without windows needs half of the processor's time."""
    found = [f"/usr/bin/{name}" for name in ("chromium-headless-shell", "chromium")]
    default = next((path for path in found if Path(path).exists()), found[-1])
    return os.environ.get("ROUNDTABLE_CHROMIUM", default)


@pytest.fixture(scope="session")
def browser():
    """Its console errors and CSP reports fail a test (see `page`)."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=300_000)  # a busy machine draws slowly
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(300_000)  # a busy machine draws slowly
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    complaints = page.complaints
    context.close()
    assert complaints == []
