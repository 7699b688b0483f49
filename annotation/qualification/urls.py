from django.urls import path

from annotation.qualification import views

urlpatterns = [
    path("", views.checks, name="checks"),
    path("shares/", views.set_checks, name="set_checks"),
    path("make/<int:batch_pk>/", views.make_known, name="make_known"),
    path("known/<int:task_pk>/", views.known, name="known_answer"),
    path("trainings/new/", views.new_training, name="new_training"),
    path("trainings/<int:pk>/", views.training, name="training"),
    path("trainings/<int:pk>/settings/", views.change_training, name="change_training"),
    path("trainings/<int:pk>/people/", views.change_standing, name="change_standing"),
    path("required/<int:batch_pk>/", views.require_training, name="require_training"),
]
