"""`{{ key|as_key }}`: a key of the keyboard inside of a translated sentence."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def as_key(key: str) -> SafeString:
    return format_html("<kbd>{}</kbd>", key)
