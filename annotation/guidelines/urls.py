from django.urls import path

from annotation.guidelines import views

urlpatterns = [path("", views.question_settings, name="settings")]
