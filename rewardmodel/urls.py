from django.urls import path

from rewardmodel import outgoing_views, views
from rewardmodel.serving import views as serving

app_name = "reward_models"

urlpatterns = [
    path("", views.reward_models, name="list"),
    path("evaluate/", views.evaluate, name="evaluate"),
    path("train/", views.train, name="train"),
    path("<int:pk>/", views.reward_model, name="reward_model"),
    path("<int:pk>/serving/", serving.live, name="serving"),
    path("<int:pk>/serving/start/", serving.start, name="start_serving"),
    path("<int:pk>/serving/stop/", serving.stop, name="stop_serving"),
    path("<int:pk>/describe/", outgoing_views.describe, name="describe"),
    path("<int:pk>/archive/", outgoing_views.archive, name="archive"),
    path("<int:pk>/push/", outgoing_views.push, name="push"),
]
