"""Webhooks are on pages of their own: what is shown here would show their secrets."""

from django.contrib import admin

from events.models import Delivery, Event, OutboxEntry
from workspace.admin import ReadOnlyAdmin

admin.site.register([OutboxEntry, Event, Delivery], ReadOnlyAdmin)
