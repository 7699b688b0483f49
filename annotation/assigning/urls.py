from django.urls import path

from annotation.assigning import views

urlpatterns = [
    path("", views.assigning, name="assigning"),
    path("members/<int:pk>/", views.member, name="member_work"),
    path("batches/<int:pk>/", views.audience, name="batch_audience"),
]
