from django.urls import path

from annotation.conversation import views

urlpatterns = [
    path("new/", views.new_live_batch, name="new_live_batch"),
    path("<int:pk>/", views.live_batch, name="live_batch"),
    path("<int:pk>/compare/", views.compare_conversations, name="compare_conversations"),
    path("<int:pk>/<int:conversation_pk>/", views.live_conversation, name="live_conversation"),
]
