from django.urls import include, path

from annotation.importing import views

urlpatterns = [
    path("", views.imports, name="imports"),
    path("", include("annotation.importing.uploads.urls")),
    path("<int:pk>/", views.import_page, name="import"),
    path("<int:pk>/bad-rows.<str:form>", views.import_bad_rows, name="import_bad_rows"),
    path("<int:pk>/undo/", views.undo_import, name="undo_import"),
]
