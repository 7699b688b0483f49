"""`{% scripts NAME key=value %}` and `{% styles NAME %}`: the tags of a bundle of static files."""

from django import template
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

register = template.Library()


def _urls(name: str) -> list[str]:
    # With DEBUG files are served from where they lie, collected or not.
    together = getattr(staticfiles_storage, "serves_bundles", False) and not settings.DEBUG
    return [staticfiles_storage.url(file) for file in ([name] if together else settings.STATIC_BUNDLES[name])]


@register.simple_tag
def scripts(name: str, **data: str) -> SafeString:
    """`data`: file name of a static file -> data-... of the tag, for what a script loads when it is needed."""
    attributes = format_html_join(
        "",
        ' data-{}="{}"',
        ((key.replace("_", "-"), staticfiles_storage.url(file)) for key, file in data.items()),
    )
    return format_html_join(
        "\n", '<script src="{}"{} defer></script>', ((url, attributes) for url in _urls(name))
    )


@register.simple_tag
def styles(name: str) -> SafeString:
    return format_html_join("", '<link rel="stylesheet" href="{}">', ((url,) for url in _urls(name)))
