from django.contrib import admin

from rounds.models import Round, RoundRun, StageEntry
from workspace.admin import ReadOnlyAdmin

admin.site.register([Round, RoundRun, StageEntry], ReadOnlyAdmin)
