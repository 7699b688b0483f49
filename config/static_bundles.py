"""Files of a page that are served as one, minified: name -> its files, in the order in which they are read.

Thirty small files would be thirty requests, each with headers of its own, and are compressed worse apart than together.
"""

_ANNOTATOR = "annotation/annotator"
_SCRIPTS = (
    "storage api drafts outbox rejections active_time evidence clock status_bar guideline text_nodes search "
    "differences reading pair rating typed_order guided_order ranking_ways ranking passages marks question "
    "task_view shortcuts training work_page"
)
STATIC_BUNDLES: dict[str, tuple[str, ...]] = {
    f"{_ANNOTATOR}/bundle.js": (
        "js/translation.js",
        "annotation/answers.js",
        *(f"{_ANNOTATOR}/{script}.js" for script in _SCRIPTS.split()),
    ),
    f"{_ANNOTATOR}/bundle.css": (
        "annotation/annotation.css",
        *(f"{_ANNOTATOR}/{sheet}.css" for sheet in ("work_page", "ranking_ways", "marks")),
    ),
}
