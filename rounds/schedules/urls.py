from django.urls import path

from rounds.schedules import views

urlpatterns = [
    path("<int:pk>/pause/", views.pause, name="pause_schedule"),
    path("<int:pk>/resume/", views.resume, name="resume_schedule"),
    path("<int:pk>/delete/", views.delete, name="delete_schedule"),
    path("times/<int:pk>/retry/", views.retry, name="retry_firing"),
    path("times/<int:pk>/drop/", views.drop, name="drop_firing"),
]
