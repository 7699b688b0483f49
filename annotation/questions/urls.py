from django.urls import path

from annotation.questions import views

urlpatterns = [
    path("", views.questions, name="questions"),
    path("<int:pk>/answer/", views.answer, name="answer_question"),
]
