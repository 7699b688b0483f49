"""The Data section. What comes in and goes out has its pages in `importing`, `datasets` and `exporting`."""

from django.urls import include, path

from annotation.data import views

app_name = "data"

urlpatterns = [
    path("", views.prompts, name="prompts"),
    path("prompts/<int:pk>/", views.prompt, name="prompt"),
    path("prompt-sets/", views.prompt_sets, name="prompt_sets"),
    path("prompt-sets/<int:pk>/", views.prompt_set, name="prompt_set"),
    path("demonstrations/", views.demonstrations, name="demonstrations"),
    path("demonstrations/<int:pk>/", views.demonstration, name="demonstration"),
    path("texts/", views.texts, name="texts"),
    path("texts/<int:pk>/", views.text, name="text"),
    path("imports/", include("annotation.importing.urls")),
    path("datasets/", include("annotation.datasets.urls")),
    path("datasets/", include("annotation.exporting.urls")),
]
