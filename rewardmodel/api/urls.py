from django.urls import path

from rewardmodel.api import checkpoints, scoring, views
from rewardmodel.outgoing import REWARD_MODELS
from runs.api.outgoing import ModelArchive, PushModel

project_urlpatterns = [
    path("reward-models", views.RewardModels.as_view()),
    path("reward-models/presets", views.RewardModelPresets.as_view()),
    path("reward-models/train", views.TrainRewardModel.as_view()),
    path("reward-model-trainings/adopt", checkpoints.AdoptRewardCheckpoint.as_view()),
    path("reward-models/<int:pk>/evaluations", views.Evaluations.as_view()),
    path("reward-models/<int:pk>", views.OneRewardModel.as_view()),
    path("reward-models/<int:pk>/score", scoring.ScoreTexts.as_view()),
    path("reward-models/<int:pk>/score-rendered", scoring.ScoreTextsInTemplate.as_view()),
    path("reward-models/<int:pk>/serving", scoring.OneServing.as_view()),
    path("reward-models/<int:pk>/serving/start", scoring.StartServing.as_view()),
    path("reward-models/<int:pk>/serving/stop", scoring.StopServing.as_view()),
    path("reward-models/<int:pk>/archive", ModelArchive.as_view(models=REWARD_MODELS)),
    path("reward-models/<int:pk>/push", PushModel.as_view(models=REWARD_MODELS)),
]
