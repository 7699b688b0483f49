from django.contrib import admin

from rounds.models import Round, RoundRun, Schedule, ScheduleFiring, StageEntry
from workspace.admin import ReadOnlyAdmin

admin.site.register([Round, RoundRun, StageEntry, Schedule, ScheduleFiring], ReadOnlyAdmin)
