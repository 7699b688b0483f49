"""What pages ask for is collected, though most of what libraries bring is not."""

import re
from pathlib import Path

from django.conf import settings

from workspace.static_files import files_to_collect

ROOT = Path(__file__).resolve().parents[2]


def names_in_templates() -> set[str]:
    named = re.compile(r"""(?:static|_script=|_style=)\s*['"]([\w./-]+\.\w+)['"]""")
    return {name for path in (ROOT / "templates").rglob("*.html") for name in named.findall(path.read_text())}


def test_every_file_that_a_template_names_is_collected():
    collected = {name for name, _, _ in files_to_collect()}
    named = names_in_templates()
    assert len(named) > 30 and "vendor/katex/katex.min.css" in named and "vendor/diff/diff.min.js" in named
    assert named - collected - set(settings.STATIC_BUNDLES) == set()
    assert {member for members in settings.STATIC_BUNDLES.values() for member in members} <= collected


def test_what_no_page_asks_for_stays_where_it_is():
    collected = [name for name, _, _ in files_to_collect()]
    assert len(collected) == len(set(collected))
    for part in ("redoc", "rest_framework/", "katex.mjs", "bootstrap-grid", "jquery.js", "htmx-4"):
        assert [name for name in collected if part in name] == []
