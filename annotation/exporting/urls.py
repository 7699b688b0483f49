from django.urls import path

from annotation.exporting import views

urlpatterns = [
    path("<int:pk>/download/", views.download_dataset, name="download_dataset"),
    path("<int:pk>/archive/", views.dataset_archive, name="dataset_archive"),
    path("demonstrations/", views.download_demonstrations, name="download_demonstrations"),
    path("<int:pk>/push/", views.push_dataset_page, name="push_dataset"),
]
