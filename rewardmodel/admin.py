from django.contrib import admin

from rewardmodel.models import ResponseScore, RewardModel, RewardModelEvaluation
from workspace.admin import ReadOnlyAdmin

admin.site.register([RewardModel, RewardModelEvaluation, ResponseScore], ReadOnlyAdmin)
