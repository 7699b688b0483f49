from django.urls import path

from annotation.writing import views

urlpatterns = [
    path("", views.works, name="writing_works"),
    path("new/", views.new_work, name="new_writing_work"),
    path("to-check/", views.to_check, name="writing_to_check"),
    path("<int:pk>/", views.work, name="writing_work"),
    path("<int:pk>/state/", views.set_state, name="set_writing_state"),
    path("texts/<int:pk>/", views.text, name="writing_text"),
    path("texts/<int:pk>/review/", views.review, name="review_writing"),
    path("texts/<int:pk>/release/", views.release, name="release_writing"),
]
