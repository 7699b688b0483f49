"""What a check of the site warns of, and when it does not."""

import pytest

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_preparing_the_site_does_not_warn_of_what_it_is_about_to_do(settings, monkeypatch, tmp_path):
    from workspace.checks import static_files_are_collected

    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    }
    told = {}
    for command in ("migrate", "worker", "check"):
        monkeypatch.setattr("sys.argv", ["manage.py", command])
        told[command] = [warning.id for warning in static_files_are_collected(None)]
    assert told == {"migrate": [], "worker": [], "check": ["roundtable.W001"]}


def test_a_data_folder_that_others_may_enter_is_named(settings, tmp_path):
    from workspace.checks import data_folder_is_closed

    settings.DATA_DIR, settings.FILE_UMASK = tmp_path, 0o077
    told = {}
    for mode in (0o700, 0o750, 0o755):
        tmp_path.chmod(mode)
        told[mode] = [(warning.id, warning.hint.split("`")[1]) for warning in data_folder_is_closed(None)]
    assert told == {
        0o700: [],
        0o750: [("roundtable.W003", f"chmod 700 {tmp_path}")],
        0o755: [("roundtable.W003", f"chmod 700 {tmp_path}")],
    }
    settings.FILE_UMASK = 0o007  # ROUNDTABLE_FILE_ACCESS=GROUP
    tmp_path.chmod(0o2770)
    assert data_folder_is_closed(None) == []
    tmp_path.chmod(0o775)
    assert "every account" in data_folder_is_closed(None)[0].msg
