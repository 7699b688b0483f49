from django.urls import path

from annotation.guidelines import asked_views, history, views

urlpatterns = [
    path("", views.question_settings, name="settings"),
    path("asked/", asked_views.asked_settings, name="asked_settings"),
    path("guideline/", history.versions, name="guideline_versions"),
    path("guideline/preview/", views.preview_guideline, name="preview_guideline"),
    path("guideline/<int:version>/", history.version, name="guideline_version"),
    path("guideline/<int:version>/confirm/", history.ask_to_confirm, name="ask_to_confirm"),
]
