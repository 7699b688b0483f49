from django.contrib.auth.views import LogoutView
from django.urls import path

from workspace import audit_views, language_views, settings_views, views
from workspace.tokens import views as token_views

app_name = "workspace"

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", views.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", views.ChangePassword.as_view(), name="change_password"),
    path("language/", language_views.set_language, name="set_language"),
    path("tokens/", token_views.tokens, name="tokens"),
    path("tokens/<int:pk>/revoke/", token_views.revoke, name="revoke_token"),
    path("healthz", views.health, name="health"),
    path("readyz", views.ready, name="ready"),
    path("invitations/", views.go_on_to_invitation, name="go_on_to_invitation"),
    path("invitations/<str:token>/", views.accept_invitation, name="accept_invitation"),
    path("projects/new/", views.new_project, name="new_project"),
    path("projects/<slug:slug>/", views.project_page, name="project"),
    path("audit/", audit_views.audit_of_all, name="audit_of_all"),
    path("audit/export/", audit_views.audit_of_all_export, name="audit_of_all_export"),
    path("projects/<slug:slug>/audit/", audit_views.audit, name="audit"),
    path("projects/<slug:slug>/audit/export/", audit_views.audit_export, name="audit_export"),
    path("projects/<slug:slug>/time-zone/", settings_views.set_time_zone, name="set_time_zone"),
    path("projects/<slug:slug>/splits/", settings_views.set_splits, name="set_splits"),
    path("projects/<slug:slug>/people/", views.people, name="people"),
    path("projects/<slug:slug>/people/invite/", views.send_invitation, name="invite"),
    path(
        "projects/<slug:slug>/people/invitations/<int:pk>/withdraw/",
        views.withdraw,
        name="withdraw_invitation",
    ),
    path("projects/<slug:slug>/people/<int:pk>/", views.change_member, name="change_member"),
]
