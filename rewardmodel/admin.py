from django.contrib import admin

from rewardmodel.models import ResponseScore, RewardModel
from workspace.admin import ReadOnlyAdmin

admin.site.register([RewardModel, ResponseScore], ReadOnlyAdmin)
