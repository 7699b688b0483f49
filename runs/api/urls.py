from django.urls import path

from runs.api import views

project_urlpatterns = [
    path("runs", views.Runs.as_view()),
    path("runs/<int:pk>", views.OneRun.as_view()),
    path("runs/<int:pk>/metrics", views.RunMetrics.as_view()),
    path("runs/<int:pk>/result", views.RunResult.as_view()),
    path("runs/<int:pk>/files/<str:name>", views.RunFile.as_view()),
    path("runs/<int:pk>/cancel", views.CancelRun.as_view()),
    path("runs/<int:pk>/resume", views.ResumeRun.as_view()),
    path("runs/<int:pk>/end", views.EndRun.as_view()),
    path("runs/<int:pk>/clone", views.CloneRun.as_view()),
]
