from django.urls import path

from annotation.importing.uploads import views

urlpatterns = [
    path("new/", views.new_upload, name="new_upload"),
    path("from-hub/", views.fetch_dataset, name="fetch_dataset"),
    path("uploads/", views.begin_upload, name="begin_upload"),
    path("uploads/<uuid:public_id>/", views.upload_page, name="upload"),
    path("uploads/<uuid:public_id>/pieces/", views.upload_pieces, name="upload_pieces"),
    path("uploads/<uuid:public_id>/live/", views.upload_live, name="upload_live"),
    path("uploads/<uuid:public_id>/bad-rows.<str:form>", views.upload_bad_rows, name="upload_bad_rows"),
    path("uploads/<uuid:public_id>/remove/", views.remove_upload, name="remove_upload"),
]
