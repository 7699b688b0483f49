"""The texts of the pages and their translations: `locale/LANGUAGE/LC_MESSAGES/`, domains django and djangojs.

    python -m config.translations

reads every marked text of the templates, the Python code and the scripts, writes new ones into the .po files (empty,
for a person to translate), drops those that are used no more, and compiles the .mo files that Django reads. It needs
Babel, which the extra `dev` installs, and no gettext programs.
"""

import datetime
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = ("de", "es")
DOMAINS = ("django", "djangojs")
# Of every language here, and of Roundtable.ngettext: Babel's own rule for Spanish has a third form, for millions.
_PLURAL_FORMS = "nplurals=2; plural=(n != 1);"
_NO_DATE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)  # the same file for the same texts
_APPS = "config workspace runs annotation rewardmodel policy_training events rounds maintenance demo".split()
_KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "_": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}


def _sources(domain: str) -> Iterator[tuple[Path, str, str]]:
    """(file, its text, Babel's method) of every file that may have marked texts."""
    if domain == "djangojs":
        for path in sorted((ROOT / "static").rglob("*.js")):
            yield path, path.read_text(), "javascript"
        return
    for path in sorted((ROOT / "templates").rglob("*.html")):
        # Indentation means nothing here, and Babel's tokenizer would stumble over it.
        yield path, re.sub(r"(?m)^\s+", "", templatize(path.read_text())), "python"
    for app in _APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, path.read_text(), "python"


def read_marked(domain: str) -> Catalog:
    """Every marked text, with the files that it stands in."""
    marked = Catalog()
    for path, text, method in _sources(domain):
        for _, message, comments, context in extract(
            method, io.BytesIO(text.encode()), keywords=_KEYWORDS, comment_tags=("Translators:",)
        ):
            place = (str(path.relative_to(ROOT)), 0)
            marked.add(message, locations=[place], auto_comments=comments, context=context)
    if domain == "django":
        # Here, because options of a round's plan stand beside models, which Django must have loaded before.
        from config.option_texts import option_texts

        for module, said in option_texts():
            marked.add(said, locations=[(f"{module.replace('.', '/')}.py", 0)])
    return marked


def catalog_path(language: str, domain: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / f"{domain}.po"


def _new_catalog(language: str) -> Catalog:
    catalog = Catalog(locale=language, project="Roundtable", version="", fuzzy=False)
    catalog.header_comment = "# The texts of Roundtable's pages: python -m config.translations"
    catalog.msgid_bugs_address = catalog.last_translator = catalog.language_team = ""
    catalog.mime_headers = [("Plural-Forms", _PLURAL_FORMS)]
    return catalog


def read_catalog(language: str, domain: str) -> Catalog:
    path = catalog_path(language, domain)
    if not path.exists():
        return _new_catalog(language)
    with path.open("rb") as file:
        catalog = read_po(file, locale=language, domain=domain)
    catalog.mime_headers = [("Plural-Forms", _PLURAL_FORMS)]
    return catalog


def compile_catalog(catalog: Catalog) -> bytes:
    """The bytes of the .mo file: the same for the same texts."""
    written = io.BytesIO()
    write_mo(written, catalog)
    return written.getvalue()


def is_translated(message: Message) -> bool:
    """In all its forms."""
    return all(message.string) if isinstance(message.string, (tuple, list)) else bool(message.string)


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    waiting = 0
    for domain in DOMAINS:
        marked = read_marked(domain)
        for language in LANGUAGES:
            catalog = read_catalog(language, domain)
            # Without guesses by likeness: a wrong text that looks finished is worse than none.
            catalog.update(marked, no_fuzzy_matching=True)
            catalog.obsolete.clear()
            catalog.revision_date = catalog.creation_date = _NO_DATE
            path = catalog_path(language, domain)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                write_po(file, catalog, width=100, sort_output=True, omit_header=False, include_lineno=False)
            path.with_suffix(".mo").write_bytes(compile_catalog(read_catalog(language, domain)))
            empty = [message for message in catalog if message.id and not is_translated(message)]
            waiting += len(empty)
            print(f"{path.relative_to(ROOT)}: {len(catalog)} texts, {len(empty)} to translate")
    return 1 if waiting else 0


if __name__ == "__main__":
    sys.exit(main())
