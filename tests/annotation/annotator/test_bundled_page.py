"""The work page's scripts and styles as a site serves them: one minified file of each kind."""

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import override_settings

from annotation.models import Judgment
from config.static_bundles import STATIC_BUNDLES
from tests.annotation.annotator.test_ranking_ways import stored_labels
from tests.annotation.annotator.waiting import wait_for_task, wait_until
from workspace.static_bundles import BundlingManifestStaticFilesStorage, bundle
from workspace.static_files import describe_missing_static_files
from workspace.templatetags import static_bundles

NAMES = ["annotation/annotator/bundle.js", "annotation/annotator/bundle.css"]


def bundled(name):
    return bundle(name, [Path(finders.find(member)).read_text() for member in STATIC_BUNDLES[name]])


def test_collecting_makes_the_bundles_and_pages_name_them(tmp_path, monkeypatch):
    storage = BundlingManifestStaticFilesStorage(location=tmp_path, base_url="/static/")
    paths = {}
    for members in STATIC_BUNDLES.values():
        for member in members:
            target = tmp_path / member
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(finders.find(member)).read_bytes())
            paths[member] = (storage, member)
    errors = [done for _, _, done in storage.post_process(paths) if isinstance(done, Exception)]
    assert errors == []
    monkeypatch.setattr(static_bundles, "staticfiles_storage", storage)
    for name, tag in zip(NAMES, [static_bundles.scripts, static_bundles.styles], strict=True):
        stem, ending = name.rsplit(".", 1)
        [served] = tmp_path.glob(f"{stem}.*.{ending}")
        assert served.read_text() == bundled(name)
        assert tag(name).count(f"/static/{stem}.{served.name.split('.')[1]}.{ending}") == 1
        assert tag(name).count("<") == (2 if ending == "js" else 1)
    with override_settings(DEBUG=True):  # files are served from where they lie
        assert static_bundles.scripts(NAMES[0]).count("<script") == len(STATIC_BUNDLES[NAMES[0]])


def test_a_bundle_that_was_not_collected_is_missed(tmp_path):
    (tmp_path / "staticfiles.json").write_text('{"paths": {}}')
    storages = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "workspace.static_bundles.BundlingManifestStaticFilesStorage"},
    }
    with override_settings(STATIC_ROOT=tmp_path, STORAGES=storages, STATICFILES_FINDERS=[]):
        assert "annotation/annotator/bundle.css and 1 more missing" in describe_missing_static_files()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_minified_scripts_rank_and_submit(page, ada, make_batch, address, open_as):
    for name in NAMES:
        first, *others = STATIC_BUNDLES[name]
        for file, text in [(first, bundled(name)), *((member, "") for member in others)]:
            page.route(f"**/{file}", serve(text, "text/css" if name.endswith(".css") else "text/javascript"))
    make_batch(tasks=2, responses_per_task=4)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    for key in ["o", "d", "b", "=", "a", "c", "1", "3", "Enter"]:
        page.keyboard.press(key)
    wait_until(page, lambda: Judgment.objects.exists())
    assert stored_labels() == ([["D"], ["A", "B"], ["C"]], [3, 1])


def serve(text, content_type):
    return lambda route: route.fulfill(body=text, content_type=content_type)
