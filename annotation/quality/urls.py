from django.urls import path

from annotation.quality import views

urlpatterns = [
    path("", views.quality, name="quality"),
    path("measure/", views.measure_again, name="measure_again"),
    path("annotators/", views.quality_annotators, name="quality_annotators"),
    path("annotators/<str:pseudonym>/", views.quality_annotator, name="quality_annotator"),
    path("pairs/<int:pk>/", views.quality_pair, name="quality_pair"),
    path("uncertain/", views.uncertain_tasks, name="uncertain_tasks"),
    path("leaderboard/", views.leaderboard, name="leaderboard"),
]
