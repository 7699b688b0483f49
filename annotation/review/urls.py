from django.urls import path

from annotation.review import imports, uploads, views

urlpatterns = [
    path("", views.batches, name="batches"),
    path("new/", uploads.new_batch, name="new_batch"),
    path("imports/", imports.imports, name="imports"),
    path("imports/<int:pk>/take-back/", imports.take_back, name="take_back_import"),
    path("<int:pk>/", views.batch, name="batch"),
    path("<int:pk>/exclude/", views.exclude_batch, name="exclude_batch"),
    path("<int:pk>/open/", views.open_batch, name="open_batch"),
    path("<int:pk>/close/", views.close_batch, name="close_batch"),
    path("<int:pk>/judgments/<int:judgment_pk>/", views.judgment, name="judgment"),
]
