from django.contrib import admin

from policy_training.models import ChainedTraining, Policy, PolicyEvaluation
from workspace.admin import ReadOnlyAdmin

admin.site.register([ChainedTraining, Policy, PolicyEvaluation], ReadOnlyAdmin)
