from django.urls import path

from workspace.api import audit, views

# Below /api/v1/
urlpatterns = [
    path("me", views.Me.as_view()),
    path("projects", views.Projects.as_view()),
    path("projects/<slug:slug>", views.OneProject.as_view()),
]
# Below /api/v1/projects/<slug>/
project_urlpatterns = [
    path("criteria", views.Criteria.as_view()),
    path("question-settings", views.AllQuestionSettings.as_view()),
    path("guidelines", views.Guidelines.as_view()),
    path("audit", audit.Audit.as_view()),
    path("members", views.Members.as_view()),
    path("members/<int:pk>", views.Member.as_view()),
    path("invitations", views.Invitations.as_view()),
    path("invitations/<int:pk>", views.OneInvitation.as_view()),
]
