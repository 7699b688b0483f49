from django.urls import path

from annotation.datasets import freezing_views, views

urlpatterns = [
    path("", views.datasets, name="datasets"),
    path("new/", views.new_dataset, name="new_dataset"),
    path("new/preview/", views.preview_dataset, name="preview_dataset"),
    path("freezing/<int:pk>/", freezing_views.freezing, name="freezing"),
    path("freezing/<int:pk>/live/", freezing_views.freezing_live, name="freezing_live"),
    path("compare/", views.compare_datasets, name="compare_datasets"),
    path("<int:pk>/", views.dataset, name="dataset"),
    path("<int:pk>/describe/", views.describe_dataset, name="describe_dataset"),
]
