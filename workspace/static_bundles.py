"""Several static files served as one, minified: setting STATIC_BUNDLES, made by `collectstatic`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rcssmin
import rjsmin
from django.conf import settings
from django.core.files.storage import Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage


def bundle(name: str, texts: list[str]) -> str:
    """The files of the bundle `name` (.js or .css) as one. A script's last line may lack its semicolon."""
    if name.endswith(".css"):
        return "\n".join(str(rcssmin.cssmin(text)) for text in texts)
    return "\n;".join(str(rjsmin.jsmin(text)) for text in texts)


class BundlingManifestStaticFilesStorage(CompressedManifestStaticFilesStorage):
    """Pages name the bundle where it was collected, and its files one by one where nothing is (templatetags)."""

    serves_bundles = True

    def post_process(
        self, paths: dict[str, tuple[Storage, str]], dry_run: bool = False, **options: Any
    ) -> Iterator[tuple[str, str | None, bool | Exception]]:
        if not dry_run:
            for name, members in settings.STATIC_BUNDLES.items():
                texts = []
                for member in members:
                    storage, path = paths[member]
                    with storage.open(path) as file:
                        texts.append(file.read().decode())
                target = Path(self.path(name))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(bundle(name, texts))
                paths[name] = (self, name)
        yield from super().post_process(paths, dry_run, **options)
