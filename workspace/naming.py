"""Names for what programs make: a result must not be lost because its name is taken, so it gets a number."""

import unicodedata
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.text import slugify
from django.utils.translation import gettext

RESERVED_SLUGS = frozenset({"new"})  # projects/new/ is the page that makes one


def unique_name(rows: QuerySet[Any], name: str, *, max_length: int = 120) -> str:
    """`name` cut to `max_length`, or the first of `name (2)`, `name (3)`, ... that none of the rows has."""
    name = name[:max_length]
    stem = name[: max_length - 7]
    taken = set(rows.filter(name__startswith=stem).values_list("name", flat=True))
    numbered = (f"{stem} ({number})" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def project_slug(projects: QuerySet[Any], name: str) -> str:
    """A project's address. A name without Latin letters or digits, or one that a page has, gets a number."""
    slug = slugify(name)[:50]
    if slug and slug not in RESERVED_SLUGS:
        return slug
    stem = slug or "project"
    taken = set(projects.filter(slug__startswith=stem).values_list("slug", flat=True))
    return next(f"{stem}-{n}" for n in range(1, len(taken) + 2) if f"{stem}-{n}" not in taken)


# Scripts that are written together and that nobody takes for each other (https://www.unicode.org/reports/tr39/,
# "highly restrictive").
_WRITTEN_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
# Words of the Unicode names of letters that belong to no script of their own.
_OF_ANY_SCRIPT = frozenset({"MODIFIER", "FEMININE", "MASCULINE", "IDEOGRAPHIC", "KATAKANA-HIRAGANA"})


def scripts_of(name: str) -> frozenset[str]:
    """The scripts of a name's letters, as the first words of their Unicode names: LATIN, CYRILLIC, CJK, ..."""
    letters = (letter for letter in unicodedata.normalize("NFKC", name) if letter.isalpha())
    return frozenset(unicodedata.name(letter, "UNNAMED").split()[0] for letter in letters) - _OF_ANY_SCRIPT


def require_one_script(name: str) -> None:
    """Raises ValidationError for a name that mixes scripts: one Cyrillic letter makes another's name."""
    scripts = scripts_of(name)
    if len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER):
        words = " and ".join(script.capitalize() for script in sorted(scripts))
        raise ValidationError(
            gettext("Use letters of one script: this name mixes %(words)s.") % {"words": words},
            code="mixed_scripts",
        )
