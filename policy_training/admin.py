from django.contrib import admin

from policy_training.models import Policy, PolicyEvaluation
from workspace.admin import ReadOnlyAdmin

admin.site.register([Policy, PolicyEvaluation], ReadOnlyAdmin)
