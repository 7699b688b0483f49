from django.urls import path

from annotation.adjudication import views

urlpatterns = [
    path("", views.disagreements, name="disagreements"),
    path("ask-one-more/", views.one_more, name="ask_one_more"),
    path("one-more-rule/", views.one_more_rule, name="one_more_rule"),
    path("decided/", views.decisions, name="decisions"),
    path("tasks/<int:pk>/", views.adjudicate, name="adjudicate"),
    path("judgments/<int:pk>/return/", views.return_to_author, name="return_judgment"),
    path("returned/<int:pk>/keep/", views.keep, name="keep_judgment"),
]
