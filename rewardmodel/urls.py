from django.urls import path

from rewardmodel import views
from rewardmodel.checkpoints import adopt_reward_checkpoint
from rewardmodel.outgoing import REWARD_MODELS
from rewardmodel.serving import views as serving
from runs.adopting.views import adopting_view
from runs.hub.model_pages import archive_view, describe_view, push_view

app_name = "reward_models"

urlpatterns = [
    path("", views.reward_models, name="list"),
    path("evaluate/", views.evaluate, name="evaluate"),
    path("evaluations/<int:pk>/", views.evaluation, name="evaluation"),
    path("train/", views.train, name="train"),
    path("adopt/<int:run>/", adopting_view(adopt_reward_checkpoint), name="adopt"),
    path("<int:pk>/", views.reward_model, name="reward_model"),
    path("<int:pk>/serving/", serving.live, name="serving"),
    path("<int:pk>/serving/start/", serving.start, name="start_serving"),
    path("<int:pk>/serving/stop/", serving.stop, name="stop_serving"),
    path("<int:pk>/describe/", describe_view(REWARD_MODELS), name="describe"),
    path("<int:pk>/archive/", archive_view(REWARD_MODELS), name="archive"),
    path("<int:pk>/push/", push_view(REWARD_MODELS), name="push"),
]
